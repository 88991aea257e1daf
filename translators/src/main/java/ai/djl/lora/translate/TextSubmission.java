/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.GeneratedToken;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.generate.sampling.CompiledConstraint;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;

/**
 * A request for text as an engine takes it, and what makes text of the answers again. Engines know
 * nothing of text: stop strings are looked for here while the tokens come, and a constraint is
 * compiled for the tokenizer's vocabulary, on the thread of whoever asks.
 */
public final class TextSubmission {

    private final TextTokenizer tokenizer;
    private final GenerationRequest request;
    private final Submission submission;

    /** The text of each answer that has begun. */
    private final AnswerText[] texts;

    /**
     * Constructs a new {@code TextSubmission} instance, for one use.
     *
     * @param tokenizer the model's tokenizer, which must stay open
     * @param request the request, with the prompt's tokens
     * @throws LoraConfigurationException if its constraint cannot be compiled
     */
    public TextSubmission(TextTokenizer tokenizer, GenerationRequest request) {
        this(tokenizer, request, builder -> builder);
    }

    /**
     * Constructs a new {@code TextSubmission} instance, for one use.
     *
     * @param tokenizer the model's tokenizer, which must stay open
     * @param request the request, with the prompt's tokens
     * @param said says for whom it is, how urgent and how long it may wait
     * @throws LoraConfigurationException if its constraint cannot be compiled
     */
    TextSubmission(
            TextTokenizer tokenizer,
            GenerationRequest request,
            UnaryOperator<Submission.Builder> said) {
        this.tokenizer = tokenizer;
        this.request = request;
        SamplingParameters sampling = request.sampling();
        texts = new AnswerText[sampling.bestOf()];
        Submission.Builder builder =
                Submission.builder(
                                new GenerationRequest(
                                        request.promptTokens(),
                                        request.adapter(),
                                        sampling.toBuilder().stopStrings(List.of()).build(),
                                        request.unavailable()))
                        .optStops(this::begin);
        Optional<OutputConstraint> constraint = sampling.constraint();
        if (constraint.isPresent()) {
            CompiledConstraint compiled = tokenizer.constraints().compile(constraint.get());
            builder.optConstraint(compiled::begin);
        }
        submission = said.apply(builder).build();
    }

    private IntPredicate begin(int answer) {
        texts[answer] =
                new AnswerText(tokenizer, request.promptTokens(), request.sampling().stopStrings());
        return texts[answer]::add;
    }

    /**
     * Returns what an engine takes.
     *
     * @return the submission
     */
    public Submission submission() {
        return submission;
    }

    /** Returns the text of an answer; null while it has not begun. */
    AnswerText text(int answer) {
        return texts[answer];
    }

    /** Returns what a token adds to the text of an answer. */
    TextChunk chunk(int answer, GeneratedToken token) {
        AnswerText text = texts[answer];
        String more =
                token.finishReason() == null ? text.added(token.index()) : text.rest(token.index());
        return new TextChunk(
                token.token(), more, token.logProb(), token.top(), token.finishReason());
    }

    /**
     * Makes text of the engine's answers.
     *
     * @param results the answers to the submission, the best or the first of them first
     * @return the first answer as text, with the others
     */
    public TextResult finish(List<GenerationResult> results) {
        List<TextResult> others = new ArrayList<>(results.size() - 1);
        for (GenerationResult result : results.subList(1, results.size())) {
            others.add(text(result, List.of()));
        }
        return text(results.get(0), others);
    }

    private TextResult text(GenerationResult result, List<TextResult> others) {
        return new TextResult(
                texts[result.index()].finish(),
                result.tokens(),
                result.adapter(),
                result.finishReason(),
                result.revision(),
                result.substitution(),
                result.logProb(),
                result.samples(),
                others);
    }
}
