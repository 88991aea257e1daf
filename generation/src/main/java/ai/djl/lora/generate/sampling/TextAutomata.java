/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.ByteRunAutomaton;
import org.apache.lucene.util.automaton.MinimizationOperations;
import org.apache.lucene.util.automaton.Operations;
import org.apache.lucene.util.automaton.TooComplexToDeterminizeException;
import org.apache.lucene.util.automaton.Transition;
import org.apache.lucene.util.automaton.UTF32ToUTF8;

/**
 * Builds automata over Unicode code points with Lucene's operations, inside limits: a description
 * of a few characters can ask for more states than there is memory.
 */
final class TextAutomata {

    /** The most states of an automaton, of code points or of bytes. */
    static final int MAX_STATES = 60_000;

    /** Lucene's measure of the work of one determinization. */
    private static final int WORK_LIMIT = 200_000;

    /** States times symbols up to which minimizing is worth its time. */
    private static final long MINIMIZE_LIMIT = 200_000;

    private TextAutomata() {}

    /** Returns the automaton of one code point of a set. */
    static Automaton oneOf(BitSet codePoints) {
        Automaton automaton = new Automaton();
        int start = automaton.createState();
        int end = automaton.createState();
        automaton.setAccept(end, true);
        int from = codePoints.nextSetBit(0);
        while (from >= 0) {
            int behind = codePoints.nextClearBit(from);
            automaton.addTransition(start, end, from, behind - 1);
            from = codePoints.nextSetBit(behind);
        }
        automaton.finishState();
        return automaton;
    }

    /** Returns the automaton of one code point of a range. */
    static Automaton range(int first, int last) {
        BitSet set = new BitSet();
        set.set(first, last + 1);
        return oneOf(set);
    }

    static Automaton anyCharacter() {
        return range(0, Character.MAX_CODE_POINT);
    }

    static Automaton text(String text) {
        return Automata.makeString(text);
    }

    static Automaton sequence(Automaton... parts) {
        return checked(Operations.concatenate(List.of(parts)));
    }

    static Automaton either(List<Automaton> parts) {
        return checked(Operations.union(parts));
    }

    static Automaton optional(Automaton part) {
        return Operations.optional(part);
    }

    /**
     * Repeats an automaton.
     *
     * @param part the automaton
     * @param min how often at least
     * @param max how often at most; -1 for no limit
     */
    static Automaton repeat(Automaton part, int min, int max) {
        long copies = Math.max(1, max < 0 ? min + 1L : max);
        checkStates(copies * part.getNumStates());
        if (max >= 0) {
            return Operations.repeat(part, min, max);
        }
        Automaton any = Operations.repeat(part);
        if (min == 0) {
            return any;
        }
        List<Automaton> parts = new ArrayList<>(Collections.nCopies(min, part));
        parts.add(any);
        return Operations.concatenate(parts);
    }

    /** Returns an automaton of the same language, deterministic, small and without dead states. */
    static Automaton minimize(Automaton automaton) {
        try {
            Automaton deterministic =
                    Operations.removeDeadStates(Operations.determinize(automaton, WORK_LIMIT));
            long size = (long) deterministic.getNumStates() * deterministic.getStartPoints().length;
            return size > MINIMIZE_LIMIT
                    ? deterministic
                    : MinimizationOperations.minimize(deterministic, WORK_LIMIT);
        } catch (TooComplexToDeterminizeException e) {
            throw tooLarge(e);
        }
    }

    /** Returns a deterministic automaton over the bytes of UTF-8, without dead states. */
    static Automaton toUtf8(Automaton codePoints) {
        Automaton minimal = minimize(codePoints);
        // the longest characters take three states between their bytes
        checkStates(minimal.getNumStates() + 3L * multibyteTransitions(minimal));
        // Lucene reads well-formed text alone, so it also takes sequences that encode nothing, and
        // halves of surrogate pairs.
        Automaton lenient = new UTF32ToUTF8().convert(minimal);
        return minimize(Operations.intersection(lenient, wellFormed()));
    }

    private static int multibyteTransitions(Automaton codePoints) {
        Transition transition = new Transition();
        int found = 0;
        for (int state = 0; state < codePoints.getNumStates(); ++state) {
            int count = codePoints.initTransition(state, transition);
            for (int i = 0; i < count; ++i) {
                codePoints.getNextTransition(transition);
                found += transition.max >= 0x80 ? 1 : 0;
            }
        }
        return found;
    }

    /** Returns the automaton of well-formed UTF-8 (RFC 3629, section 4). */
    private static Automaton wellFormed() {
        Automaton.Builder builder = new Automaton.Builder();
        int start = builder.createState();
        builder.setAccept(start, true);
        int one = builder.createState();
        int two = builder.createState();
        int three = builder.createState();
        builder.addTransition(one, start, 0x80, 0xBF);
        builder.addTransition(two, one, 0x80, 0xBF);
        builder.addTransition(three, two, 0x80, 0xBF);
        builder.addTransition(start, start, 0x00, 0x7F);
        builder.addTransition(start, one, 0xC2, 0xDF);
        builder.addTransition(start, two, 0xE1, 0xEC);
        builder.addTransition(start, two, 0xEE, 0xEF);
        builder.addTransition(start, three, 0xF1, 0xF3);
        // lead bytes behind which not every byte may follow: overlong, surrogates, beyond Unicode
        lead(builder, start, 0xE0, 0xA0, 0xBF, one);
        lead(builder, start, 0xED, 0x80, 0x9F, one);
        lead(builder, start, 0xF0, 0x90, 0xBF, two);
        lead(builder, start, 0xF4, 0x80, 0x8F, two);
        return builder.finish();
    }

    private static void lead(
            Automaton.Builder builder, int start, int lead, int min, int max, int rest) {
        int state = builder.createState();
        builder.addTransition(start, state, lead);
        builder.addTransition(state, rest, min, max);
    }

    static ByteRunAutomaton runnable(Automaton bytes) {
        return new ByteRunAutomaton(checked(bytes), true, WORK_LIMIT);
    }

    static Automaton checked(Automaton automaton) {
        checkStates(automaton.getNumStates());
        return automaton;
    }

    private static void checkStates(long states) {
        if (states > MAX_STATES) {
            throw tooLarge(null);
        }
    }

    private static LoraConfigurationException tooLarge(Exception cause) {
        return new LoraConfigurationException(
                "the constraint is too large: its automaton may have "
                        + MAX_STATES
                        + " states; smaller bounds of repetitions make it smaller",
                cause);
    }
}
