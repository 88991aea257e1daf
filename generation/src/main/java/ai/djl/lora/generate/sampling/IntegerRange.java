/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;

/** The automata of the decimal digits of whole numbers between two bounds. */
final class IntegerRange {

    /** The greatest number that is written, and minus the least: 15 digits. */
    static final long LIMIT = 999_999_999_999_999L;

    private IntegerRange() {}

    /**
     * Returns the automaton of the numbers of a range, without leading zeros or a minus before 0.
     *
     * @param min the least number, at least {@code -LIMIT}
     * @param max the greatest, at least {@code min} and at most {@code LIMIT}
     * @return the automaton over code points
     */
    static Automaton between(long min, long max) {
        List<Automaton> parts = new ArrayList<>();
        if (min < 0) {
            parts.add(
                    TextAutomata.sequence(
                            TextAutomata.text("-"), natural(Math.max(1, -max), -min)));
        }
        if (max >= 0) {
            parts.add(natural(Math.max(0, min), max));
        }
        return TextAutomata.minimize(TextAutomata.either(parts));
    }

    private static Automaton natural(long min, long max) {
        List<Automaton> lengths = new ArrayList<>();
        long shortest = 0;
        for (long longest = 9; shortest <= max; longest = 10 * longest + 9) {
            if (longest >= min) {
                lengths.add(
                        alike(
                                Long.toString(Math.max(min, shortest)),
                                Long.toString(Math.min(max, longest))));
            }
            shortest = longest + 1;
        }
        return TextAutomata.either(lengths);
    }

    /** Returns the automaton of the digits between two that are as many, leading zeros too. */
    private static Automaton alike(String min, String max) {
        if (min.isEmpty()) {
            return Automata.makeEmptyString();
        }
        int rest = min.length() - 1;
        if (min.chars().allMatch(c -> c == '0') && max.chars().allMatch(c -> c == '9')) {
            return digits(rest + 1);
        }
        char first = min.charAt(0);
        char last = max.charAt(0);
        String minRest = min.substring(1);
        String maxRest = max.substring(1);
        if (first == last) {
            return TextAutomata.sequence(Automata.makeChar(first), alike(minRest, maxRest));
        }
        List<Automaton> parts = new ArrayList<>();
        parts.add(
                TextAutomata.sequence(Automata.makeChar(first), alike(minRest, "9".repeat(rest))));
        if (first + 1 < last) {
            parts.add(TextAutomata.sequence(TextAutomata.range(first + 1, last - 1), digits(rest)));
        }
        parts.add(TextAutomata.sequence(Automata.makeChar(last), alike("0".repeat(rest), maxRest)));
        return TextAutomata.either(parts);
    }

    private static Automaton digits(int count) {
        return TextAutomata.repeat(TextAutomata.range('0', '9'), count, count);
    }
}
