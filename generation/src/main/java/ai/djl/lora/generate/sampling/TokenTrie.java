/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.apache.lucene.util.automaton.ByteRunAutomaton;

/**
 * All tokens of a vocabulary by their bytes, so that one walk finds which of them an automaton can
 * read from a state: tokens that begin alike share their first steps, and a dead step rules out all
 * that lies below it.
 *
 * <p>The nodes lie in the order of a walk from the root down, so a walk reads them once from front
 * to back. A node knows its byte, its depth, where its subtree ends and the tokens that end in it.
 */
final class TokenTrie {

    private static final int NONE = -1;

    private int nodes;
    private byte[] bytes = new byte[1024];
    private int[] depths = new int[1024];
    private int[] ends = new int[1024];
    private int[] firstTokens = new int[1024];
    private final int[] nextTokens;
    private final int height;

    /**
     * Constructs a new {@code TokenTrie} instance.
     *
     * @param vocabulary the tokens; those without bytes are left out
     */
    TokenTrie(Vocabulary vocabulary) {
        int tokens = vocabulary.size();
        nextTokens = new int[tokens];
        byte[][] texts = new byte[tokens][];
        for (int token = 0; token < tokens; ++token) {
            texts[token] = vocabulary.bytes(token);
        }
        int[] sorted =
                IntStream.range(0, tokens)
                        .filter(token -> texts[token] != null && texts[token].length > 0)
                        .boxed()
                        .sorted(
                                Comparator.comparing(
                                        token -> texts[token], Arrays::compareUnsigned))
                        .mapToInt(Integer::intValue)
                        .toArray();
        int longest = 0;
        for (int token : sorted) {
            longest = Math.max(longest, texts[token].length);
        }
        height = longest;
        build(sorted, texts);
    }

    private void build(int[] sorted, byte[][] texts) {
        int[] path = new int[height + 1];
        byte[] before = new byte[0];
        for (int token : sorted) {
            byte[] text = texts[token];
            int shared = Arrays.mismatch(before, text);
            if (shared < 0) {
                nextTokens[token] = firstTokens[path[text.length]];
                firstTokens[path[text.length]] = token;
                continue;
            }
            for (int depth = before.length; depth > shared; --depth) {
                ends[path[depth]] = nodes;
            }
            for (int depth = shared + 1; depth <= text.length; ++depth) {
                path[depth] = append(text[depth - 1], depth);
            }
            firstTokens[path[text.length]] = token;
            nextTokens[token] = NONE;
            before = text;
        }
        for (int depth = before.length; depth > 0; --depth) {
            ends[path[depth]] = nodes;
        }
    }

    private int append(byte value, int depth) {
        if (nodes == bytes.length) {
            bytes = Arrays.copyOf(bytes, 2 * nodes);
            depths = Arrays.copyOf(depths, 2 * nodes);
            ends = Arrays.copyOf(ends, 2 * nodes);
            firstTokens = Arrays.copyOf(firstTokens, 2 * nodes);
        }
        bytes[nodes] = value;
        depths[nodes] = depth;
        firstTokens[nodes] = NONE;
        return nodes++;
    }

    /**
     * Returns whether each byte is a token: then whatever an automaton can still read can be
     * written.
     *
     * @return whether it is
     */
    boolean writesEveryByte() {
        int single = 0;
        for (int node = 0; node < nodes; ++node) {
            if (depths[node] == 1 && firstTokens[node] != NONE) {
                ++single;
            }
        }
        return single == 256;
    }

    /**
     * Finds the tokens that an automaton can read.
     *
     * @param automaton the automaton, without dead states
     * @param state the state before the token
     * @param visitor is told of each such token and the state behind it
     */
    void walk(ByteRunAutomaton automaton, int state, Visitor visitor) {
        int[] states = new int[height + 1];
        states[0] = state;
        int node = 0;
        while (node < nodes) {
            int depth = depths[node];
            int next = automaton.step(states[depth - 1], bytes[node] & 0xff);
            if (next < 0) {
                node = ends[node];
                continue;
            }
            states[depth] = next;
            for (int token = firstTokens[node]; token != NONE; token = nextTokens[token]) {
                visitor.visit(token, next);
            }
            ++node;
        }
    }

    /** Is told of tokens. */
    interface Visitor {

        /**
         * Takes a token that can be read.
         *
         * @param token the token's id
         * @param next the state behind it
         */
        void visit(int token, int next);
    }
}
