/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A template that has been read, in the language of Jinja 3.1 as transformers sets it up for chats:
 * {@code trim_blocks} and {@code lstrip_blocks} are on, and {@code break}, {@code continue} and
 * {@code generation} are known.
 *
 * <p>Left out are what takes other templates ({@code extends}, {@code include}, {@code import},
 * {@code block}), {@code call}, recursive loops, {@code *} and {@code **} arguments, and some
 * filters; a template that uses them is refused when it is read, or when it gets there. Instances
 * are immutable and may be used by several threads.
 */
public final class Template {

    /** How many characters a template may have; those that models come with have at most 20,000. */
    private static final int MAX_SOURCE = 1 << 20;

    private final List<Statement> statements;

    private Template(List<Statement> statements) {
        this.statements = statements;
    }

    /**
     * Reads a template.
     *
     * @param source its source
     * @return the template
     * @throws TemplateException if it is no template, or uses what is not supported
     */
    public static Template parse(String source) {
        if (source.length() > MAX_SOURCE) {
            throw new TemplateException(
                    "the template has "
                            + source.length()
                            + " characters, allowed are "
                            + MAX_SOURCE);
        }
        return new Template(StatementParser.parse(source));
    }

    /**
     * Renders the template.
     *
     * @param variables what the template knows by name: null, Boolean, Number, String, and List and
     *     Map of these
     * @param limits what rendering may cost
     * @param clock the time for {@code strftime_now}
     * @return the text
     * @throws TemplateException if the template fails on the variables, refuses them, or costs more
     * @throws IllegalArgumentException if a variable is of another type
     */
    public String render(Map<String, ?> variables, Limits limits, Clock clock) {
        Budget budget = new Budget(limits.maxOutput(), limits.maxWork());
        Scope functions = new Scope(null);
        Functions.all(clock, budget).forEach(functions::set);
        Scope scope = new Scope(functions);
        variables.forEach((name, value) -> scope.set(name, Renderer.toValue(value, 0)));
        return new Renderer(budget).render(statements, scope);
    }

    /**
     * What rendering may cost.
     *
     * @param maxOutput how many characters the text may have, and each one on the way to it
     * @param maxWork how many steps there may be, a character or item that is made counting as one
     */
    public record Limits(int maxOutput, long maxWork) {

        /**
         * Enough for conversations of a million characters, and a second or two of work at most.
         */
        public static final Limits STANDARD = new Limits(1 << 24, 50_000_000L);

        /**
         * Constructs a new {@code Limits} instance.
         *
         * @param maxOutput how many characters the text may have, and each one on the way to it
         * @param maxWork how many steps there may be
         */
        public Limits {
            if (maxOutput < 1 || maxWork < 1) {
                throw new IllegalArgumentException(
                        "maxOutput is "
                                + maxOutput
                                + " and maxWork "
                                + maxWork
                                + "; both must be 1 or more");
            }
        }
    }
}
