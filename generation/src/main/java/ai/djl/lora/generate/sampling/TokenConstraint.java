/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/**
 * Follows one sequence's text and says which tokens may come next. Whatever it allows, tokens of
 * the vocabulary lead on to an allowed end. Not safe for use by several threads.
 */
public interface TokenConstraint {

    /**
     * Fills a mask with the tokens that may come next, end-of-text tokens left aside.
     *
     * @param mask bit {@code i % 64} of word {@code i / 64} becomes 1 where token {@code i} may
     *     come and 0 elsewhere; tokens that lie behind the vocabulary may not come
     */
    void fillMask(long[] mask);

    /**
     * Returns whether the text may end here.
     *
     * @return whether it may
     */
    boolean mayEnd();

    /**
     * Returns whether the text is complete: it may end here, and nothing may follow.
     *
     * @return whether it is
     */
    boolean isComplete();

    /**
     * Takes a token.
     *
     * @param token the token's id
     * @throws IllegalArgumentException if the token is not allowed here
     */
    void accept(int token);
}
