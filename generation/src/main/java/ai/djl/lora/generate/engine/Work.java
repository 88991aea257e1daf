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
 * @param outputs of how many tokens, the last ones, something is wanted: none where more of the
 *     sequence's tokens have to be run before its next one is known
 */
record Work(Sequence sequence, int from, int count, int[] draft, int outputs) {

    static Work of(Sequence sequence, int count, int... draft) {
        int from = sequence.computed();
        if (sequence.reader() != null) {
            int wanted = Math.max(from, sequence.reader().next());
            return new Work(sequence, from, count, draft, Math.max(0, from + count - wanted));
        }
        boolean last = from + count == sequence.length();
        return new Work(sequence, from, count, draft, last ? 1 + draft.length : 0);
    }

    /** Returns the number of tokens. */
    int tokens() {
        return count + draft.length;
    }
}
