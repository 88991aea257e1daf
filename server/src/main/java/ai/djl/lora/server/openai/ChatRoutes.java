/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.BodyFields;
import ai.djl.lora.server.inference.ChatInput;
import ai.djl.lora.server.inference.InferenceService;
import ai.djl.lora.server.inference.Order;
import ai.djl.lora.server.inference.SamplingReader;
import com.google.gson.JsonPrimitive;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletionStage;

/** OpenAI's {@code POST /v1/chat/completions}. */
public final class ChatRoutes {

    private final InferenceService service;

    /**
     * Constructs a new {@code ChatRoutes} instance.
     *
     * @param service answers
     */
    public ChatRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.json(Method.POST, "/v1/chat/completions", Permission.INFER, this::answer));
    }

    private CompletionStage<Response> answer(Request request) {
        BodyFields body = BodyFields.of(request);
        if (!service.model().text().canChat()) {
            throw new HttpFailure(
                    400,
                    "no_chat_template",
                    "the model "
                            + service.model().name()
                            + " has no chat template that can be read, so it takes no messages;"
                            + " /v1/completions takes text");
        }
        String asked = OpenAiFields.model(body);
        var chat = ChatInput.read(body);
        SamplingParameters sampling = sampling(body);
        boolean stream = body.flag("stream", false);
        boolean usage = OpenAiFields.includeUsage(body, stream);
        OpenAiFields.ignoreHarmless(body);
        body.ignore(List.of("parallel_tool_calls"));
        refuseOthers(body);
        Order order = new Order(body, List.of(), asked, List.of(chat), sampling, stream);
        TokenLogProbs logProbs =
                sampling.logProbs() < 0 ? null : new TokenLogProbs(service.model().tokenizer());
        return service.answer(
                request,
                order,
                new ChatFormat(
                        "chatcmpl-" + request.id(),
                        asked == null ? service.model().name() : asked,
                        sampling.n(),
                        usage,
                        logProbs));
    }

    private SamplingParameters sampling(BodyFields body) {
        SamplingParameters server = service.model().text().defaults();
        SamplingParameters sampling =
                OpenAiFields.sampling(
                        body,
                        OpenAiFields.defaults(
                                server,
                                Math.min(server.maxNewTokens(), service.limits().newTokens())));
        boolean wanted = body.flag("logprobs", false);
        OptionalInt top = body.whole("top_logprobs");
        if (top.isPresent() && !wanted) {
            throw body.wrong("top_logprobs", "is given and logprobs is not true");
        }
        if (!wanted) {
            return sampling;
        }
        if (top.isPresent() && top.getAsInt() < 0) {
            throw body.wrong("top_logprobs", "is " + top.getAsInt() + "; it must be 0 or more");
        }
        return SamplingReader.build(
                body, "top_logprobs", sampling.toBuilder().logProbs(top.orElse(0)));
    }

    /** Refuses what OpenAI's models do and text generation does not. */
    private static void refuseOthers(BodyFields body) {
        body.refuse("audio", null, "the model answers with text alone");
        body.refuse("web_search_options", null, "the server searches nothing");
        body.refuse("prediction", null, "no outputs are predicted by the caller");
        body.refuse("functions", null, "tools has taken its place");
        body.refuse("function_call", null, "tool_choice has taken its place");
        body.refuse(
                "reasoning_effort",
                null,
                "what a template knows of it is set by chat_template_kwargs");
        body.refuse("verbosity", new JsonPrimitive("medium"), "the model knows no verbosity");
        body.texts("modalities")
                .ifPresent(
                        modalities -> {
                            if (!modalities.equals(List.of("text"))) {
                                throw body.wrong(
                                        "modalities",
                                        "is " + modalities + "; the model answers with text alone");
                            }
                        });
    }
}
