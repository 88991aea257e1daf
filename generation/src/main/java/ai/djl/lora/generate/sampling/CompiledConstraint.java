/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
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
        this.trie = trie;
        this.vocabulary = vocabulary;
        this.masks = masks;
        if (trie.writesEveryByte()) {
            for (int state = 0; state < bytes.getNumStates(); ++state) {
                live.set(state);
                last.set(state, bytes.getNumTransitions(state) == 0);
            }
        } else {
            findLive(bytes.getNumStates());
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
    private void findLive(int states) {
        BitSet[] next = new BitSet[states];
        for (int state = 0; state < states; ++state) {
            live.set(state, automaton.isAccept(state));
            BitSet reached = new BitSet();
            trie.walk(automaton, state, (token, end) -> reached.set(end));
            next[state] = reached;
        }
        boolean grows = true;
        while (grows) {
            grows = false;
            for (int state = live.nextClearBit(0);
                    state < states;
                    state = live.nextClearBit(state + 1)) {
                if (next[state].intersects(live)) {
                    live.set(state);
                    grows = true;
                }
            }
        }
        for (int state = 0; state < states; ++state) {
            last.set(state, !next[state].intersects(live));
        }
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
