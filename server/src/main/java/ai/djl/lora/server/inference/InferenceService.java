/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.GenerationInput;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** Has requests for text answered by the adapters that they are for. */
public final class InferenceService {

    private final ServedModel model;
    private final AdapterSelector selector;
    private final InferenceLimits limits;

    /**
     * Constructs a new {@code InferenceService} instance.
     *
     * @param model the model
     * @param selector finds the adapters
     * @param limits what a request may ask for
     */
    public InferenceService(ServedModel model, AdapterSelector selector, InferenceLimits limits) {
        this.limits = limits;
        this.model = model;
        this.selector = selector;
    }

    /**
     * Returns the model.
     *
     * @return the model
     */
    public ServedModel model() {
        return model;
    }

    /**
     * Returns what a request may ask for.
     *
     * @return the limits
     */
    public InferenceLimits limits() {
        return limits;
    }

    /**
     * Returns what finds adapters.
     *
     * @return the selector
     */
    public AdapterSelector selector() {
        return selector;
    }

    /**
     * Answers a request. A response that is streamed begins when the adapter is there and the first
     * step begins, so that what fails before has a status of its own.
     *
     * @param request the request
     * @param order what it wants; fields of its body that nobody has asked for yet are refused
     * @param format writes the answer
     * @return the response
     */
    public CompletionStage<Response> answer(Request request, Order order, AnswerFormat format) {
        Urgency urgency = Urgency.read(request, order.body());
        SamplingParameters sampling = order.sampling();
        limits.checkAnswers(Math.multiplyExact(order.prompts().size(), sampling.bestOf()));
        List<AdapterChoice> adapters =
                selector.select(
                        request,
                        order.body(),
                        order.further(),
                        order.model(),
                        order.prompts().stream().map(Prompt::beginning).toList());
        List<GenerationInput> inputs = new ArrayList<>();
        boolean sound = false;
        try {
            order.body().end();
            order.further().forEach(BodyFields::end);
            adapters.stream().map(AdapterChoice::name).distinct().forEach(limits::admitAdapter);
            sound = true;
        } finally {
            if (!sound) {
                adapters.forEach(each -> each.release().run());
            }
        }
        for (int i = 0; i < adapters.size(); ++i) {
            inputs.add(order.prompts().get(i).input(adapters.get(i).target(), sampling));
        }
        Generation generation =
                Generation.begin(
                        model.text(),
                        inputs,
                        adapters,
                        builder -> {
                            int tokens = builder.request().promptTokens().length;
                            limits.check(tokens, sampling.maxNewTokens());
                            return urgency.over(builder);
                        });
        request.gone().thenRun(generation::cancel);
        if (order.stream()) {
            return generation
                    .begun()
                    .thenApply(begins -> streamed(request, generation, format, begins));
        }
        return generation.end().thenApply(answers -> whole(format, answers));
    }

    private static Response streamed(
            Request request, Generation generation, AnswerFormat format, List<InputBegin> begins) {
        return AdapterHeaders.add(
                new Response.Streamed(
                        200,
                        AdapterHeaders.ofStream(format.streamType()),
                        new EventStream(generation, format, begins, request.id())),
                begins.stream().map(InputBegin::adapter).toList(),
                begins.stream().map(InputBegin::who).toList());
    }

    private static Response whole(AnswerFormat format, List<InputAnswer> answers) {
        return AdapterHeaders.add(
                Response.json(200, format.whole(answers)),
                answers.stream().map(InputAnswer::adapter).toList(),
                answers.stream()
                        .map(
                                each ->
                                        new AnsweringRevision(
                                                each.result().revision(),
                                                each.result().substitution()))
                        .toList());
    }
}
