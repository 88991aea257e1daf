/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.BodyFields;
import ai.djl.lora.server.inference.InferenceService;
import ai.djl.lora.server.inference.Order;
import ai.djl.lora.server.inference.Prompt;
import ai.djl.lora.server.inference.SamplingReader;
import com.google.gson.JsonPrimitive;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletionStage;

/** OpenAI's {@code POST /v1/completions}. */
public final class CompletionRoutes {

    /** OpenAI's length of an answer where a request names none. */
    private static final int MAX_TOKENS = 16;

    private final InferenceService service;

    /**
     * Constructs a new {@code CompletionRoutes} instance.
     *
     * @param service answers
     */
    public CompletionRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.json(Method.POST, "/v1/completions", Permission.INFER, this::complete));
    }

    private CompletionStage<Response> complete(Request request) {
        BodyFields body = BodyFields.of(request);
        String asked = OpenAiFields.model(body);
        List<Prompt> prompts =
                PromptInputs.read(body, "prompt")
                        .orElseThrow(
                                () ->
                                        OpenAiFields.missing(
                                                body,
                                                "prompt",
                                                "a text, a list of texts, token ids or a list of"
                                                        + " lists of them"));
        SamplingParameters sampling = sampling(body);
        boolean stream = body.flag("stream", false);
        boolean usage = OpenAiFields.includeUsage(body, stream);
        OpenAiFields.ignoreHarmless(body);
        body.refuse("suffix", new JsonPrimitive(""), "the model fills no gaps in texts");
        body.refuse("echo", new JsonPrimitive(false), "the answer has no prompt in it");
        Order order = new Order(body, List.of(), asked, prompts, sampling, stream);
        TokenLogProbs logProbs =
                sampling.logProbs() < 0 ? null : new TokenLogProbs(service.model().tokenizer());
        return service.answer(
                request,
                order,
                new CompletionFormat(
                        "cmpl-" + request.id(),
                        asked == null ? service.model().name() : asked,
                        sampling.n(),
                        usage,
                        logProbs));
    }

    private SamplingParameters sampling(BodyFields body) {
        SamplingParameters sampling =
                OpenAiFields.sampling(
                        body,
                        OpenAiFields.defaults(
                                service.model().text().defaults(),
                                Math.min(MAX_TOKENS, service.limits().newTokens())));
        OptionalInt logProbs = body.whole("logprobs");
        if (logProbs.isEmpty()) {
            return sampling;
        }
        if (logProbs.getAsInt() < 0) {
            throw body.wrong("logprobs", "is " + logProbs.getAsInt() + "; it must be 0 or more");
        }
        return SamplingReader.build(
                body, "logprobs", sampling.toBuilder().logProbs(logProbs.getAsInt()));
    }
}
