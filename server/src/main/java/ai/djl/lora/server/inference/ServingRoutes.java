/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletionStage;

/**
 * {@code POST /invocations}, SageMaker's route, and {@code /predictions/{model}}, which take DJL
 * Serving's body: {@code inputs}, a text or a list of texts, or {@code messages}; {@code adapters},
 * a name or one for each input; {@code parameters}; {@code stream}. Content of the type {@code
 * text/plain} is the input itself.
 */
public final class ServingRoutes {

    private static final Set<String> TYPES = Set.of("application/json", "text/plain");

    private final InferenceService service;

    /**
     * Constructs a new {@code ServingRoutes} instance.
     *
     * @param service answers
     */
    public ServingRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        ServingErrors errors = new ServingErrors();
        return List.of(
                Route.json(
                                Method.POST,
                                "/invocations",
                                Permission.INFER,
                                request -> answer(request, null))
                        .accepting(TYPES)
                        .withErrors(errors),
                Route.json(
                                Method.POST,
                                "/predictions/{model}",
                                Permission.INFER,
                                request -> answer(request, request.variable("model")))
                        .accepting(TYPES)
                        .withErrors(errors));
    }

    private CompletionStage<Response> answer(Request request, String path) {
        boolean plain =
                request.header("content-type")
                        .map(type -> type.regionMatches(true, 0, "text/plain", 0, 10))
                        .orElse(false);
        if (plain && request.body() instanceof Body.InMemory text) {
            BodyFields nothing = new BodyFields(new JsonObject(), "");
            List<Prompt> prompt = List.of(new Prompt.Text(text.text()));
            return answer(request, nothing, path, prompt, false);
        }
        BodyFields body = BodyFields.of(request);
        boolean list =
                body.element("inputs").or(() -> body.element("prompt")).stream()
                        .anyMatch(value -> value.isJsonArray());
        String model = body.text("model").orElse(path);
        if (path != null && !path.equals(model)) {
            throw body.wrong(
                    "model",
                    "names \"" + model + "\" and the path names \"" + path + "\"; they must agree");
        }
        return answer(request, body, model, prompts(body), list);
    }

    private static List<Prompt> prompts(BodyFields body) {
        List<String> given =
                List.of("inputs", "prompt", "messages").stream().filter(body::has).toList();
        if (given.size() > 1) {
            throw body.wrong(given.get(1), "and " + given.get(0) + " are both given; give one");
        }
        if (given.isEmpty()) {
            throw body.wrong("inputs", "is missing; a text or a list of texts is needed");
        }
        if ("messages".equals(given.get(0))) {
            return List.of(ChatInput.read(body));
        }
        List<String> texts = body.texts(given.get(0)).orElseThrow();
        if (texts.isEmpty()) {
            throw body.wrong(given.get(0), "is empty; at least one text is needed");
        }
        return texts.stream().<Prompt>map(Prompt.Text::new).toList();
    }

    private CompletionStage<Response> answer(
            Request request, BodyFields body, String model, List<Prompt> prompts, boolean list) {
        Parameters parameters = Parameters.read(body, service.model().text().defaults());
        BodyFields fields = parameters.fields();
        OptionalInt logProbs = fields.whole("logprobs");
        SamplingParameters sampling = parameters.sampling();
        if (logProbs.isPresent()) {
            sampling =
                    SamplingReader.build(
                            fields, "logprobs", sampling.toBuilder().logProbs(logProbs.getAsInt()));
        }
        boolean stream = body.flag("stream", false);
        if (stream && (list || sampling.bestOf() > 1)) {
            throw body.wrong(
                    "stream",
                    "is true; a stream has one answer, to inputs that are a text and with n and"
                            + " best_of 1");
        }
        return service.answer(
                request,
                new Order(body, parameters.further(), model, prompts, sampling, stream),
                new ServingFormat(list));
    }
}
