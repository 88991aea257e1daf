/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.Pooling;
import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.GenerationInput;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
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
                select(request, order.body(), order.further(), order.model(), order.prompts());
        List<GenerationInput> inputs = new ArrayList<>();
        for (int i = 0; i < adapters.size(); ++i) {
            inputs.add(order.prompts().get(i).input(adapters.get(i).target(), sampling));
        }
        Generation generation;
        try {
            generation =
                    Generation.begin(
                            model.text(Sessions.of(request, order.body())),
                            inputs,
                            adapters,
                            builder -> {
                                int tokens = builder.request().promptTokens().length;
                                limits.check(tokens, sampling.maxNewTokens());
                                return urgency.over(builder);
                            },
                            order.stream());
        } catch (LoraConfigurationException e) {
            throw explained(request, adapters, e);
        }
        request.gone().thenRun(generation::cancel);
        CompletableFuture<Response> response =
                order.stream()
                        ? generation
                                .begun()
                                .thenApply(begins -> streamed(request, generation, format, begins))
                        : generation.end().thenApply(answers -> whole(format, answers));
        return response.exceptionallyCompose(
                failure -> CompletableFuture.failedFuture(explained(request, adapters, failure)));
    }

    /**
     * Returns what a failure comes from. An adapter that was taken away since the request came is
     * not there, and the store's message, which names others, is not for the caller.
     */
    private RuntimeException explained(
            Request request, List<AdapterChoice> adapters, Throwable failure) {
        Throwable cause = failure;
        while (cause instanceof CompletionException && cause.getCause() != null) {
            cause = cause.getCause();
        }
        if (cause instanceof LoraConfigurationException) {
            for (AdapterChoice adapter : adapters) {
                if (!selector.isKnown(request, adapter)) {
                    return AdapterSelector.notFound(adapter.name(), null);
                }
            }
        }
        return cause instanceof RuntimeException known ? known : new CompletionException(cause);
    }

    /**
     * Makes vectors of texts: the mean of the states behind the model's last norm, of length 1.
     *
     * @param request the request
     * @param body its body; fields that nobody has asked for yet are refused
     * @param asked the model that it asks for; null where it names none
     * @param inputs the texts, or the tokens of texts
     * @return the vectors, in the order of the inputs
     */
    public CompletionStage<List<InputVector>> embed(
            Request request, BodyFields body, String asked, List<Prompt> inputs) {
        Urgency urgency = Urgency.read(request, body);
        List<AdapterChoice> adapters = select(request, body, List.of(), asked, inputs);
        List<EmbeddingRequest> requests = new ArrayList<>();
        boolean sound = false;
        try {
            for (int i = 0; i < inputs.size(); ++i) {
                int[] tokens =
                        inputs.get(i) instanceof Prompt.Tokens given
                                ? given.tokens()
                                : model.tokenizer().encode(inputs.get(i).beginning());
                limits.check(tokens.length, 1);
                requests.add(
                        new EmbeddingRequest(tokens, Pooling.MEAN, true, adapters.get(i).target()));
            }
            sound = true;
        } finally {
            if (!sound) {
                release(adapters);
            }
        }
        String session = Sessions.of(request, body);
        VectorBatch batch =
                new VectorBatch(
                        each -> model.replicas().read(session, each, urgency::over), requests);
        CompletableFuture<List<EmbeddingResult>> results = batch.start();
        request.gone().thenRun(batch::cancel);
        return results.whenComplete((all, failure) -> release(adapters))
                .exceptionallyCompose(
                        failure ->
                                CompletableFuture.failedFuture(
                                        explained(request, adapters, failure)))
                .thenApply(
                        all -> {
                            List<InputVector> vectors = new ArrayList<>();
                            for (int i = 0; i < all.size(); ++i) {
                                vectors.add(new InputVector(adapters.get(i).name(), all.get(i)));
                            }
                            return vectors;
                        });
    }

    /** Finds the adapters, once everything else about the request is in order. */
    private List<AdapterChoice> select(
            Request request,
            BodyFields body,
            List<BodyFields> further,
            String asked,
            List<Prompt> prompts) {
        List<AdapterChoice> adapters =
                selector.select(
                        request,
                        body,
                        further,
                        asked,
                        prompts.stream().map(Prompt::beginning).toList());
        boolean sound = false;
        try {
            body.end();
            further.forEach(BodyFields::end);
            adapters.stream().map(AdapterChoice::name).distinct().forEach(limits::admitAdapter);
            sound = true;
        } finally {
            if (!sound) {
                release(adapters);
            }
        }
        return adapters;
    }

    private static void release(List<AdapterChoice> adapters) {
        adapters.forEach(each -> each.release().run());
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
