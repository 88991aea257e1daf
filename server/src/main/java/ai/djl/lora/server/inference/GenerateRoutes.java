/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import com.google.gson.JsonPrimitive;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletionStage;

/**
 * {@code POST /generate} and {@code /generate_stream}, which take Text Generation Inference's body,
 * {@code {inputs, parameters}}, or a plain one, {@code {prompt, adapter_id, max_tokens, ...}}.
 */
public final class GenerateRoutes {

    private final InferenceService service;

    /**
     * Constructs a new {@code GenerateRoutes} instance.
     *
     * @param service answers
     */
    public GenerateRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        TgiErrors errors = new TgiErrors();
        return List.of(
                Route.json(
                                Method.POST,
                                "/generate",
                                Permission.INFER,
                                request -> answer(request, false))
                        .withErrors(errors),
                Route.json(
                                Method.POST,
                                "/generate_stream",
                                Permission.INFER,
                                request -> answer(request, true))
                        .withErrors(errors));
    }

    private CompletionStage<Response> answer(Request request, boolean streamed) {
        BodyFields body = BodyFields.of(request);
        String prompt = prompt(body);
        Parameters parameters = Parameters.read(body, service.model().text().defaults());
        BodyFields fields = parameters.fields();
        boolean details = fields.flag("details", false);
        String before = fields.flag("return_full_text", false) ? prompt : "";
        refuseOthers(fields);
        boolean stream = body.flag("stream", streamed);
        if (streamed && !stream) {
            throw body.wrong("stream", "is false; /generate answers as a whole");
        }
        SamplingParameters sampling = withTop(fields, parameters.sampling(), details || stream);
        if (stream && sampling.bestOf() > 1) {
            throw fields.wrong(
                    fields.has("best_of") ? "best_of" : "n",
                    "is " + sampling.bestOf() + "; a stream has one answer");
        }
        return service.answer(
                request,
                new Order(
                        body,
                        parameters.further(),
                        body.text("model").orElse(null),
                        List.of(new Prompt.Text(prompt)),
                        sampling,
                        stream),
                new TgiFormat(service.model(), details, before, sampling.seed()));
    }

    private static String prompt(BodyFields body) {
        String field = body.has("inputs") ? "inputs" : "prompt";
        if (body.has("inputs") && body.has("prompt")) {
            throw body.wrong("prompt", "and inputs are both given; they mean the same, give one");
        }
        return body.text(field)
                .orElseThrow(() -> body.wrong("inputs", "is missing; a text is needed"));
    }

    private static SamplingParameters withTop(
            BodyFields fields, SamplingParameters sampling, boolean details) {
        OptionalInt top = fields.whole("top_n_tokens");
        if (top.isPresent() && (top.getAsInt() < 0 || !details)) {
            throw fields.wrong(
                    "top_n_tokens",
                    "is "
                            + top.getAsInt()
                            + "; it must be 0 or more, and details must be true for an answer as a"
                            + " whole");
        }
        return details
                ? SamplingReader.build(
                        fields, "top_n_tokens", sampling.toBuilder().logProbs(top.orElse(0)))
                : sampling;
    }

    private static void refuseOthers(BodyFields fields) {
        JsonPrimitive no = new JsonPrimitive(false);
        fields.refuse("watermark", no, "texts are not watermarked");
        fields.refuse("decoder_input_details", no, "the prompt's tokens are not told");
        fields.refuse("truncate", null, "prompts are never cut");
        fields.refuse(
                "adapter_source",
                new JsonPrimitive("local"),
                "adapters are registered before they are asked for; only local is allowed");
    }
}
