/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.BitSet;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.ByteRunAutomaton;

/** An automaton over bytes with the masks of its states; many sequences share it. */
final class CompiledConstraint {

    static final int START = 0;

    private final ByteRunAutomaton automaton;
    private final BitSet last = new BitSet();
    private final TokenTrie trie;
    private final MaskCache masks;

    /**
     * Constructs a new {@code CompiledConstraint} instance.
     *
     * @param bytes the automaton, deterministic and without dead states
     * @param trie the vocabulary
     * @param masks the cache of masks, shared with other constraints
     * @throws LoraConfigurationException if the automaton accepts nothing
     */
    CompiledConstraint(Automaton bytes, TokenTrie trie, MaskCache masks) {
        if (bytes.getNumStates() == 0) {
            throw new LoraConfigurationException("the constraint accepts no text");
        }
        automaton = TextAutomata.runnable(bytes);
        for (int state = 0; state < bytes.getNumStates(); ++state) {
            last.set(state, bytes.getNumTransitions(state) == 0);
        }
        this.trie = trie;
        this.masks = masks;
    }

    /** Returns the tokens that may come at a state, one bit each; not to be changed. */
    long[] mask(int state) {
        return masks.get(this, state, () -> trie.walk(automaton, state));
    }

    boolean isAccept(int state) {
        return automaton.isAccept(state);
    }

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
