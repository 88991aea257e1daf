/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/**
 * What a step runs of a sequence.
 *
 * @param sequence the sequence
 * @param from the first of its tokens to run
 * @param count how many of its tokens to run
 * @param draft the tokens that may follow, run along
 */
record Work(Sequence sequence, int from, int count, int[] draft) {

    /** Returns the number of tokens. */
    int tokens() {
        return count + draft.length;
    }

    /** Returns whether the sequence's next token comes of this. */
    boolean isLast() {
        return from + count == sequence.length();
    }

    /** Returns of how many tokens the logits are wanted. */
    int outputs() {
        return isLast() ? 1 + draft.length : 0;
    }
}
