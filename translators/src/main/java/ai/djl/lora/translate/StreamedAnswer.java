/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.GeneratedToken;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.generate.engine.Submission;
import java.util.ArrayList;
import java.util.List;

/**
 * One answer that is read while it is written. The engine's thread turns tokens into text, to see
 * stop strings; readers take the text of each token from here.
 */
final class StreamedAnswer {

    private final AnswerText text;
    private final Submission submission;

    /** For each token that is text, where the text ended behind it. */
    private final List<Integer> ends = new ArrayList<>();

    private GenerationHandle handle;

    /**
     * Constructs a new {@code StreamedAnswer} instance.
     *
     * @param tokenizer the model's tokenizer
     * @param request the request
     * @throws ai.djl.lora.LoraConfigurationException if its constraint cannot be compiled
     */
    StreamedAnswer(TextTokenizer tokenizer, GenerationRequest request) {
        this.text =
                new AnswerText(tokenizer, request.promptTokens(), request.sampling().stopStrings());
        this.submission =
                TextSubmission.builder(tokenizer, request).optStop(() -> this::take).build();
    }

    /** Returns what an engine is to be given. */
    Submission submission() {
        return submission;
    }

    /** Says what the engine has of the request; before anybody reads. */
    void begin(GenerationHandle taken) {
        handle = taken;
    }

    GenerationHandle handle() {
        return handle;
    }

    private synchronized boolean take(int token) {
        boolean stops = text.add(token);
        ends.add(text.length());
        return stops;
    }

    /** Returns what a token adds to the text. */
    synchronized TextChunk chunk(GeneratedToken token) {
        int index = token.index();
        int from = index == 0 ? 0 : ends.get(index - 1);
        String more;
        if (token.finishReason() == null) {
            more = text.substring(from, ends.get(index));
        } else {
            // with what waited for more
            more = text.finish().substring(from);
        }
        return new TextChunk(token.token(), more, token.logProb(), token.finishReason());
    }

    /** Returns the text of the tokens so far. */
    synchronized String textSoFar() {
        return text.substring(0, text.length());
    }

    /** Waits for the end, also of an answer that fails; whoever reads it is told. */
    void await() {
        handle.result().exceptionally(failure -> null).join();
    }

    /** Waits for the end, and returns the whole answer. */
    TextResult result() {
        GenerationResult result = handle.join();
        synchronized (this) {
            return new TextResult(
                    text.finish(),
                    result.tokens(),
                    result.adapter(),
                    result.finishReason(),
                    result.revision(),
                    result.substitution(),
                    result.logProb(),
                    result.samples(),
                    List.of());
        }
    }
}
