/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/**
 * Drafts the tokens that followed when the newest ones occurred before (prompt lookup decoding:
 * Saxena, 2023; transformers' {@code prompt_lookup_num_tokens}).
 */
final class PromptLookup {

    private static final int LONGEST_MATCH = 4;
    private static final int SHORTEST_MATCH = 2;

    private PromptLookup() {}

    /**
     * Drafts what may follow.
     *
     * @param sequence the sequence
     * @param most the most tokens
     * @return the draft, of no tokens where nothing matches
     */
    static int[] draft(Sequence sequence, int most) {
        int length = sequence.length();
        for (int match = LONGEST_MATCH; match >= SHORTEST_MATCH; --match) {
            for (int end = length - 1; end >= match; --end) {
                if (matches(sequence, end, length, match)) {
                    return sequence.tokens(end, Math.min(length, end + most));
                }
            }
        }
        return new int[0];
    }

    private static boolean matches(Sequence sequence, int end, int length, int match) {
        for (int i = 1; i <= match; ++i) {
            if (sequence.token(end - i) != sequence.token(length - i)) {
                return false;
            }
        }
        return true;
    }
}
