/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Arrays;

/**
 * Counts the tokens of one sequence, for the penalties: which occur in its prompt or its text, and
 * how often each was generated. A token is counted once, when it comes; nothing is read again.
 *
 * <p>The distinct tokens lie densely in the order of their first occurrence, and an open hash table
 * finds the place of one. Not safe for use by several threads.
 */
public final class History {

    private static final int FREE = -1;

    private int[] tokens = new int[16];
    private int[] counts = new int[16];
    private int[] table = new int[64];
    private int distinct;
    private int generated;

    /**
     * Constructs a new {@code History} instance.
     *
     * @param promptTokens the token ids of the prompt
     */
    public History(int[] promptTokens) {
        Arrays.fill(table, FREE);
        for (int token : promptTokens) {
            place(token);
        }
    }

    /**
     * Counts a new token.
     *
     * @param token the token's id
     */
    public void add(int token) {
        int index = place(token); // may replace the arrays
        ++counts[index];
        ++generated;
    }

    /**
     * Returns how many tokens were generated.
     *
     * @return the number
     */
    public int generated() {
        return generated;
    }

    /**
     * Returns how many different tokens occur in the prompt and the text.
     *
     * @return the number
     */
    public int distinct() {
        return distinct;
    }

    /**
     * Returns a token that occurs.
     *
     * @param index which one, below {@link #distinct()}
     * @return the token's id
     */
    int token(int index) {
        return tokens[index];
    }

    /**
     * Returns how often a token was generated.
     *
     * @param index which one, below {@link #distinct()}
     * @return the count; 0 for a token of the prompt alone
     */
    int count(int index) {
        return counts[index];
    }

    private int place(int token) {
        int slot = slot(token);
        if (table[slot] != FREE) {
            return table[slot];
        }
        if (distinct == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * distinct);
            counts = Arrays.copyOf(counts, 2 * distinct);
            table = new int[4 * tokens.length];
            Arrays.fill(table, FREE);
            for (int i = 0; i < distinct; ++i) {
                table[slot(tokens[i])] = i;
            }
            slot = slot(token);
        }
        tokens[distinct] = token;
        table[slot] = distinct;
        return distinct++;
    }

    /** Returns the slot of a token, or the free one where it belongs. */
    private int slot(int token) {
        int mask = table.length - 1;
        int slot = token * 0x9E3779B9 >>> 7 & mask;
        while (table[slot] != FREE && tokens[table[slot]] != token) {
            slot = slot + 1 & mask;
        }
        return slot;
    }
}
