/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.ScoringRequest;

/**
 * Takes what a text is read for while its rows run, in their order. A row that is run again,
 * because the sequence has lost its place, is not taken again.
 *
 * <p>Filled by the engine's thread, read when the request has ended.
 *
 * @param <R> what the request is answered with
 */
abstract sealed class PromptReader<R> permits ScoreReader, EmbeddingReader {

    private final int length;
    private int next;

    /**
     * Constructs a new {@code PromptReader} instance.
     *
     * @param first the first row that something is taken of
     * @param length the number of tokens that are run
     */
    PromptReader(int first, int length) {
        this.next = first;
        this.length = length;
    }

    /**
     * Returns the reader that answers a request.
     *
     * @param request the request, valid
     * @param stateSize the size of the model's states
     */
    @SuppressWarnings("unchecked")
    static <R> PromptReader<R> of(ReadRequest<R> request, int stateSize) {
        // ScoringRequest and EmbeddingRequest each say what R is
        return (PromptReader<R>)
                (request instanceof ScoringRequest scoring
                        ? new ScoreReader(scoring)
                        : new EmbeddingReader((EmbeddingRequest) request, stateSize));
    }

    /** Returns the number of the text's tokens that are run. */
    int length() {
        return length;
    }

    /** Returns the first row that has not been taken; those before it may come out of a cache. */
    int next() {
        return next;
    }

    /** Says that the next row has been taken. */
    void advance() {
        ++next;
    }

    /**
     * Returns the answer.
     *
     * @param end how the request has ended
     */
    abstract R result(GenerationResult end);
}
