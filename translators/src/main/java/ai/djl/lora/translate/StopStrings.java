/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.List;
import java.util.Optional;

/**
 * Looks for stop strings in text that comes in pieces, and holds back what may be the beginning of
 * one.
 *
 * <p>The text ends before the stop string that is complete first; of several that are complete with
 * the same character, before the longest. So the result does not depend on how the text is cut into
 * pieces. Instances are for one text and one thread at a time.
 */
public final class StopStrings {

    private final List<Progress> stops;
    private final StringBuilder held = new StringBuilder();
    private String match;

    /**
     * Constructs a new {@code StopStrings} instance.
     *
     * @param stops the strings that end the text; none of them empty
     * @throws IllegalArgumentException if one is empty
     */
    public StopStrings(List<String> stops) {
        for (int i = 0; i < stops.size(); ++i) {
            if (stops.get(i).isEmpty()) {
                throw new IllegalArgumentException(
                        "stop string " + i + " is empty; it would end every text at once");
            }
        }
        this.stops = stops.stream().map(Progress::new).toList();
    }

    /**
     * Takes the next piece of the text.
     *
     * @param text the piece
     * @return the text that belongs to no stop string and has not been returned yet; empty once one
     *     has been found
     */
    public String push(String text) {
        if (match != null) {
            return "";
        }
        for (int i = 0; i < text.length(); ++i) {
            held.append(text.charAt(i));
            match = advance(text.charAt(i));
            if (match != null) {
                return take(held.length() - match.length());
            }
        }
        int heldBack = stops.stream().mapToInt(stop -> stop.matched).max().orElse(0);
        return take(held.length() - heldBack);
    }

    /**
     * Ends the text.
     *
     * @return the text that was held back; empty if a stop string has been found
     */
    public String finish() {
        return match == null ? take(held.length()) : "";
    }

    /**
     * Returns the stop string that ended the text.
     *
     * @return the stop string; empty while none has been found
     */
    public Optional<String> match() {
        return Optional.ofNullable(match);
    }

    /** Returns the longest stop string that is complete with a character; null if none is. */
    private String advance(char next) {
        String found = null;
        for (Progress stop : stops) {
            boolean complete = stop.advance(next);
            if (complete && (found == null || stop.text.length() > found.length())) {
                found = stop.text;
            }
        }
        return found;
    }

    private String take(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        return text;
    }

    /** How much of one stop string the text ends with (Knuth, Morris and Pratt's search). */
    private static final class Progress {

        private final String text;

        /** For each length of a beginning, that of the longest other beginning it ends with. */
        private final int[] shorter;

        private int matched;

        Progress(String text) {
            this.text = text;
            shorter = new int[text.length() + 1];
            for (int length = 2; length <= text.length(); ++length) {
                shorter[length] = longer(shorter[length - 1], text.charAt(length - 1));
            }
        }

        boolean advance(char next) {
            matched = longer(matched, next);
            return matched == text.length();
        }

        private int longer(int length, char next) {
            int beginning = length;
            while (beginning > 0 && text.charAt(beginning) != next) {
                beginning = shorter[beginning];
            }
            return text.charAt(beginning) == next ? beginning + 1 : 0;
        }
    }
}
