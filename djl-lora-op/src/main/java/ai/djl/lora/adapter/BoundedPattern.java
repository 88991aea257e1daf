/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression from an adapter's configuration.
 *
 * <p>Whoever made the adapter chose it, and a few characters suffice for one that does not end
 * within a lifetime. Each match may therefore look at a module's name only so often; a published
 * expression does so a few thousand times.
 */
public final class BoundedPattern {

    private static final int MAX_LENGTH = 4096;
    private static final int MAX_LOOKS = 1_000_000;

    private final String where;
    private final Pattern pattern;

    /**
     * Compiles an expression.
     *
     * @param where the file and field that hold it, for messages
     * @param expression what the field holds
     * @param before what PEFT puts before it
     * @param after what PEFT puts behind it
     * @throws LoraConfigurationException if it is no regular expression, or too long for one
     */
    public BoundedPattern(String where, String expression, String before, String after) {
        this.where = where + ": the expression " + Message.quote(expression);
        if (expression.length() > MAX_LENGTH) {
            throw new LoraConfigurationException(
                    this.where
                            + " has "
                            + expression.length()
                            + " characters, allowed are "
                            + MAX_LENGTH);
        }
        try {
            pattern = Pattern.compile(before + expression + after);
        } catch (PatternSyntaxException e) {
            throw new LoraConfigurationException(
                    this.where
                            + " is no regular expression: "
                            + Message.oneLine(e.getDescription()),
                    e);
        }
    }

    /**
     * Returns whether the expression matches the whole name, as Python's {@code re.fullmatch}.
     *
     * @param name the name
     * @return whether it does
     * @throws LoraConfigurationException if that takes too long
     */
    public boolean matchesAll(String name) {
        return run(name, Matcher::matches).isPresent();
    }

    /**
     * Returns the match from the name's start, as Python's {@code re.match}.
     *
     * @param name the name
     * @return the match, or empty
     * @throws LoraConfigurationException if it takes too long
     */
    public Optional<Matcher> matchStart(String name) {
        return run(name, Matcher::lookingAt);
    }

    private Optional<Matcher> run(String name, Predicate<Matcher> match) {
        try {
            Matcher matcher = pattern.matcher(new CountedName(name));
            return match.test(matcher) ? Optional.of(matcher) : Optional.empty();
        } catch (TooManyLooksException e) {
            throw new LoraConfigurationException(
                    where + " takes too long to match " + Message.quote(name), e);
        }
    }

    /** Counts how often the matcher looks at a character. */
    private static final class CountedName implements CharSequence {

        private final String name;
        private int looks;

        CountedName(String name) {
            this.name = name;
        }

        /** {@inheritDoc} */
        @Override
        public int length() {
            return name.length();
        }

        /** {@inheritDoc} */
        @Override
        public char charAt(int index) {
            if (++looks > MAX_LOOKS) {
                throw new TooManyLooksException();
            }
            return name.charAt(index);
        }

        /** {@inheritDoc} */
        @Override
        public CharSequence subSequence(int start, int end) {
            return name.substring(start, end);
        }

        /** {@inheritDoc} */
        @Override
        public String toString() {
            return name;
        }
    }

    /** Leaves the matcher, which has no other way out. */
    private static final class TooManyLooksException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        TooManyLooksException() {
            super("a regular expression looked too often at a name", null, false, false);
        }
    }
}
