/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.Arrays;
import java.util.BitSet;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.ByteRunAutomaton;

/**
 * A description of structured output, compiled for a vocabulary: an automaton over bytes with the
 * masks of its states. Any number of texts may follow it, on any threads.
 */
public final class CompiledConstraint {

    static final int START = 0;

    private final ByteRunAutomaton automaton;
    private final BitSet live = new BitSet();
    private final BitSet last = new BitSet();
    private final int states;
    private final TokenTrie trie;
    private final Vocabulary vocabulary;
    private final MaskCache masks;

    /**
     * Constructs a new {@code CompiledConstraint} instance.
     *
     * @param bytes the automaton, deterministic and without dead states
     * @param trie the vocabulary's tokens by their bytes
     * @param vocabulary the vocabulary
     * @param masks the cache of masks, shared with other constraints
     * @throws LoraConfigurationException if the automaton accepts nothing that can be written
     */
    CompiledConstraint(Automaton bytes, TokenTrie trie, Vocabulary vocabulary, MaskCache masks) {
        if (bytes.getNumStates() == 0) {
            throw new LoraConfigurationException("the constraint accepts no text");
        }
        automaton = TextAutomata.runnable(bytes);
        states = bytes.getNumStates();
        this.trie = trie;
        this.vocabulary = vocabulary;
        this.masks = masks;
        if (trie.writesEveryByte()) {
            for (int state = 0; state < states; ++state) {
                live.set(state);
                last.set(state, bytes.getNumTransitions(state) == 0);
            }
        } else {
            findLive();
        }
        if (!live.get(START)) {
            throw new LoraConfigurationException(
                    "the vocabulary cannot write any text that the constraint accepts");
        }
    }

    /**
     * Begins to follow a text.
     *
     * @return the constraint at the start of a text
     */
    public TokenConstraint begin() {
        return new AutomatonConstraint(this, vocabulary);
    }

    /** Finds the states from which tokens lead on to the end of a text. */
    private void findLive() {
        int[][] next = new int[states][];
        int[] before = new int[states + 1];
        BitSet reached = new BitSet(states);
        for (int state = 0; state < states; ++state) {
            reached.clear();
            trie.walk(automaton, state, (token, end) -> reached.set(end));
            next[state] = reached.stream().toArray();
            for (int end : next[state]) {
                ++before[end + 1];
            }
        }
        // the states before each, all behind one another
        for (int state = 0; state < states; ++state) {
            before[state + 1] += before[state];
        }
        int[] places = Arrays.copyOf(before, states);
        int[] sources = new int[before[states]];
        for (int state = 0; state < states; ++state) {
            for (int end : next[state]) {
                sources[places[end]++] = state;
            }
        }
        int[] found = new int[states];
        int count = 0;
        for (int state = 0; state < states; ++state) {
            if (automaton.isAccept(state)) {
                live.set(state);
                found[count++] = state;
            }
        }
        for (int i = 0; i < count; ++i) {
            for (int k = before[found[i]]; k < before[found[i] + 1]; ++k) {
                if (!live.get(sources[k])) {
                    live.set(sources[k]);
                    found[count++] = sources[k];
                }
            }
        }
        for (int state = 0; state < states; ++state) {
            last.set(state, Arrays.stream(next[state]).noneMatch(live::get));
        }
    }

    /** Returns the number of states, which is what a constraint takes memory for. */
    int states() {
        return states;
    }

    /** Returns the tokens that may come at a state, one bit each; not to be changed. */
    long[] mask(int state) {
        return masks.get(this, state, () -> newMask(state));
    }

    private long[] newMask(int state) {
        long[] mask = new long[(vocabulary.size() + Long.SIZE - 1) / Long.SIZE];
        trie.walk(
                automaton,
                state,
                (token, next) -> {
                    if (live.get(next)) {
                        mask[token / Long.SIZE] |= 1L << token;
                    }
                });
        return mask;
    }

    boolean isAccept(int state) {
        return automaton.isAccept(state);
    }

    /** Returns whether nothing may follow. */
    boolean isLast(int state) {
        return last.get(state);
    }

    /** Returns the state behind some bytes; negative where they are not allowed. */
    int step(int state, byte[] text) {
        int at = state;
        for (int i = 0; i < text.length && at >= 0; ++i) {
            at = automaton.step(at, text[i] & 0xff);
        }
        return at;
    }
}
