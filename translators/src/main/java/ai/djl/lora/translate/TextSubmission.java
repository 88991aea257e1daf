/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.generate.sampling.CompiledConstraint;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.List;
import java.util.Optional;

/**
 * A request for text as an engine takes it, and what makes text of the answer again. Engines know
 * nothing of text: stop strings are looked for here while the tokens come, and a constraint is
 * compiled for the tokenizer's vocabulary, on the thread of whoever asks.
 */
public final class TextSubmission {

    private final AnswerText text;
    private final Submission submission;

    /**
     * Constructs a new {@code TextSubmission} instance, for one use.
     *
     * @param tokenizer the model's tokenizer, which must stay open
     * @param request the request, with the prompt's tokens
     * @throws LoraConfigurationException if its constraint cannot be compiled
     */
    public TextSubmission(TextTokenizer tokenizer, GenerationRequest request) {
        SamplingParameters sampling = request.sampling();
        AnswerText answer =
                new AnswerText(tokenizer, request.promptTokens(), sampling.stopStrings());
        text = answer;
        Submission.Builder builder =
                Submission.builder(
                                new GenerationRequest(
                                        request.promptTokens(),
                                        request.adapter(),
                                        sampling.toBuilder().stopStrings(List.of()).build(),
                                        request.unavailable()))
                        .optStop(() -> answer::add);
        Optional<OutputConstraint> constraint = sampling.constraint();
        if (constraint.isPresent()) {
            CompiledConstraint compiled = tokenizer.constraints().compile(constraint.get());
            builder.optConstraint(compiled::begin);
        }
        submission = builder.build();
    }

    /**
     * Returns what an engine takes.
     *
     * @return the submission
     */
    public Submission submission() {
        return submission;
    }

    /**
     * Makes text of the engine's answer.
     *
     * @param result the answer to the submission
     * @return the answer as text
     */
    public TextResult finish(GenerationResult result) {
        return new TextResult(
                text.finish(),
                result.tokens(),
                result.adapter(),
                result.finishReason(),
                result.revision(),
                result.substitution());
    }
}
