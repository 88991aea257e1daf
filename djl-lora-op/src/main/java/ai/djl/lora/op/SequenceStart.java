/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.Arrays;

/** What an adapter asks of the beginning of a sequence. Most ask nothing. Immutable. */
public final class SequenceStart {

    /** Nothing. */
    public static final SequenceStart ANY = new SequenceStart(0);

    private final int virtualTokens;
    private final int[] invocationTokens;

    /**
     * Constructs a new {@code SequenceStart} instance.
     *
     * @param virtualTokens how many positions the adapter takes before a sequence's first token
     * @param invocationTokens the tokens from whose last occurrence in a prompt on the adapter
     *     acts; none where it always acts
     */
    public SequenceStart(int virtualTokens, int... invocationTokens) {
        this.virtualTokens = virtualTokens;
        this.invocationTokens = invocationTokens.clone();
    }

    /**
     * Returns how many positions a sequence has before its first token.
     *
     * @return the number of virtual tokens
     */
    public int virtualTokens() {
        return virtualTokens;
    }

    /**
     * Returns the tokens from whose last occurrence in a prompt on the adapter acts.
     *
     * @return the tokens; empty where it always acts
     */
    public int[] invocationTokens() {
        return invocationTokens.clone();
    }

    /**
     * Returns from which of a sequence's tokens on the adapter acts.
     *
     * <p>As in PEFT ({@code peft/tuners/lora/variants.py}) that is the first token of the last
     * occurrence of the invocation tokens, where occurrences may overlap.
     *
     * @param tokens the tokens with which the sequence starts to use the adapter
     * @return 0 where the adapter always acts; -1 where the invocation tokens do not occur
     */
    public int activeFrom(int... tokens) {
        int length = invocationTokens.length;
        if (length == 0) {
            return 0;
        }
        int from = tokens.length - length;
        while (from >= 0
                && !Arrays.equals(invocationTokens, 0, length, tokens, from, from + length)) {
            --from;
        }
        return Math.max(from, -1);
    }
}
