/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.zip.CRC32;

/**
 * Says which adapter answers requests that name none: the first rule that holds for a request does.
 * Without one the default adapter answers.
 *
 * @param rules the rules, in the order in which they are tried
 */
public record RoutingRules(List<Rule> rules) {

    /** No rules. */
    public static final RoutingRules NONE = new RoutingRules(List.of());

    /**
     * Constructs a new {@code RoutingRules} instance.
     *
     * @param rules the rules, in the order in which they are tried
     */
    public RoutingRules {
        rules = List.copyOf(rules);
    }

    /** What a rule looks at. */
    public sealed interface Condition permits Always, OfTenant, WithHeader, WithField, WithPrefix {}

    /** Holds for every request: the last rule, or a share of all. */
    public record Always() implements Condition {}

    /**
     * Holds for a tenant's requests.
     *
     * @param tenant the tenant of the caller
     */
    public record OfTenant(String tenant) implements Condition {}

    /**
     * Holds for requests with a header.
     *
     * @param name the header, in lower case
     * @param value its value
     */
    public record WithHeader(String name, String value) implements Condition {}

    /**
     * Holds for requests whose body has a field, which is then one of its known fields.
     *
     * @param name the field
     * @param value its value, a text
     */
    public record WithField(String name, String value) implements Condition {}

    /**
     * Holds for prompts that begin with a text; of a conversation the first message.
     *
     * @param text the text
     */
    public record WithPrefix(String text) implements Condition {}

    /**
     * A rule.
     *
     * @param condition when it holds
     * @param percent the share of those requests that it holds for, above 0 and at most 100; which
     *     they are is decided by the session, so that it stays with one adapter
     * @param adapter the adapter that answers; "" for the base model
     * @param fallback what answers when there is no such adapter, or the caller may not use it; ""
     *     for the base model, null for nothing: the request is refused
     */
    public record Rule(Condition condition, double percent, String adapter, String fallback) {

        /**
         * Constructs a new {@code Rule} instance.
         *
         * @param condition when it holds
         * @param percent the share of those requests that it holds for, above 0 and at most 100
         * @param adapter the adapter that answers; "" for the base model
         * @param fallback what answers when the adapter cannot; null for nothing
         */
        public Rule {
            Objects.requireNonNull(condition, "condition");
            Objects.requireNonNull(adapter, "adapter");
            if (!(percent > 0 && percent <= 100)) {
                throw new IllegalArgumentException(
                        "percent is " + percent + "; it must be above 0 and at most 100");
            }
        }

        /**
         * Returns a rule for all requests of a condition, without a fallback.
         *
         * @param condition when it holds
         * @param adapter the adapter that answers; "" for the base model
         * @return the rule
         */
        public static Rule of(Condition condition, String adapter) {
            return new Rule(condition, 100, adapter, null);
        }
    }

    /**
     * Returns the rule for a request.
     *
     * @param holds whether a condition holds for it
     * @param session what decides shares
     * @return the rule; empty where none holds
     */
    Optional<Rule> find(Predicate<Condition> holds, String session) {
        for (int i = 0; i < rules.size(); ++i) {
            Rule rule = rules.get(i);
            if (holds.test(rule.condition) && share(i, session) < rule.percent) {
                return Optional.of(rule);
            }
        }
        return Optional.empty();
    }

    /** Returns where a session lies, from 0 to 100; not in the same place for each rule. */
    private static double share(int rule, String session) {
        CRC32 hash = new CRC32();
        hash.update((rule + ":" + session).getBytes(StandardCharsets.UTF_8));
        return hash.getValue() * 100.0 / (1L << 32);
    }
}
