/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.translate.GenerationInput;
import ai.djl.lora.translate.TextAnswers;
import ai.djl.lora.translate.TextGenerator;
import ai.djl.lora.translate.TextResult;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;

/** The answers to all inputs of one request. They end together: when one fails all do. */
final class Generation {

    private final List<InputAnswers> answers;
    private final List<AdapterChoice> adapters;
    private final CompletableFuture<List<InputAnswer>> end = new CompletableFuture<>();

    private Generation(List<InputAnswers> answers, List<AdapterChoice> adapters) {
        this.answers = answers;
        this.adapters = adapters;
        List<CompletableFuture<TextResult>> results = new ArrayList<>();
        for (InputAnswers each : answers) {
            CompletableFuture<TextResult> result = each.result();
            results.add(result);
            result.whenComplete(
                    (answer, failure) -> {
                        if (failure != null) {
                            // the first failure is the reason, the others follow from it
                            end.completeExceptionally(failure);
                            cancel();
                        }
                    });
        }
        CompletableFuture.allOf(results.toArray(CompletableFuture[]::new))
                .whenComplete(
                        (all, failure) -> {
                            adapters.forEach(each -> each.release().run());
                            if (failure == null) {
                                end.complete(
                                        named(
                                                results.stream()
                                                        .map(CompletableFuture::join)
                                                        .toList()));
                            }
                        });
    }

    /**
     * Begins with the answers.
     *
     * @param generator answers
     * @param inputs the inputs, each for its adapter's target
     * @param adapters the adapters, which are released when all has ended, or now if it cannot
     *     begin
     * @param said says for whom it is, and may refuse it
     * @param streamed whether what comes is sent as soon as all have begun
     * @return the answers, which come
     */
    static Generation begin(
            TextGenerator generator,
            List<GenerationInput> inputs,
            List<AdapterChoice> adapters,
            UnaryOperator<Submission.Builder> said,
            boolean streamed) {
        List<InputAnswers> answers = new ArrayList<>();
        boolean begun = false;
        try {
            for (GenerationInput input : inputs) {
                answers.add(InputAnswers.begin(() -> generator.begin(input, said), streamed));
            }
            begun = true;
        } finally {
            if (!begun) {
                answers.forEach(InputAnswers::cancel);
                adapters.forEach(each -> each.release().run());
            }
        }
        return new Generation(answers, adapters);
    }

    private List<InputAnswer> named(List<TextResult> results) {
        List<InputAnswer> named = new ArrayList<>();
        for (int i = 0; i < results.size(); ++i) {
            named.add(
                    new InputAnswer(
                            adapters.get(i).name(),
                            results.get(i),
                            answers.get(i).current().promptTokens()));
        }
        return named;
    }

    /** Returns the answers as they come, once all have begun. */
    List<TextAnswers> answers() {
        return answers.stream().map(InputAnswers::current).toList();
    }

    /** Completes with all answers, or with the reason of the first that failed. */
    CompletableFuture<List<InputAnswer>> end() {
        return end;
    }

    /** Completes when every input has been begun with, or with the reason why one was not. */
    CompletableFuture<List<InputBegin>> begun() {
        List<CompletableFuture<AnsweringRevision>> begins =
                answers.stream().map(InputAnswers::begun).toList();
        CompletableFuture<List<InputBegin>> begun =
                CompletableFuture.allOf(begins.toArray(CompletableFuture[]::new))
                        .thenApply(
                                all -> {
                                    List<InputBegin> named = new ArrayList<>();
                                    for (int i = 0; i < begins.size(); ++i) {
                                        named.add(
                                                new InputBegin(
                                                        adapters.get(i).name(),
                                                        begins.get(i).join(),
                                                        answers.get(i).current().promptTokens()));
                                    }
                                    return named;
                                });
        end.whenComplete(
                (answers, failure) -> {
                    if (failure != null) {
                        begun.completeExceptionally(failure);
                    }
                });
        return begun;
    }

    /** Ends the answers where they stand. */
    void cancel() {
        answers.forEach(InputAnswers::cancel);
    }
}
