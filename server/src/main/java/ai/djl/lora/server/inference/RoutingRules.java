/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.zip.CRC32;

/**
 * Says which adapter answers requests that name none: the first rule that holds for a request does.
 * Without one the default adapter answers.
 *
 * @param rules the rules, in the order in which they are tried
 * @param strip fields of bodies that are there for whoever routes alone, and are known though no
 *     rule looks at them
 */
public record RoutingRules(List<Rule> rules, List<String> strip) {

    /** No rules. */
    public static final RoutingRules NONE = new RoutingRules(List.of());

    /**
     * Constructs a new {@code RoutingRules} instance.
     *
     * @param rules the rules, in the order in which they are tried
     * @param strip fields of bodies that are there for whoever routes alone
     */
    public RoutingRules {
        rules = List.copyOf(rules);
        strip = List.copyOf(strip);
    }

    /**
     * Constructs a new {@code RoutingRules} instance.
     *
     * @param rules the rules, in the order in which they are tried
     */
    public RoutingRules(List<Rule> rules) {
        this(rules, List.of());
    }

    /** What a rule looks at. */
    public sealed interface Condition
            permits Always, OfTenant, WithHeader, WithField, WithPrefix, AllOf {}

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
     * @param name the header
     * @param value its value; null for any
     */
    public record WithHeader(String name, String value) implements Condition {

        /**
         * Constructs a new {@code WithHeader} instance.
         *
         * @param name the header
         * @param value its value; null for any
         */
        public WithHeader {
            name = name.toLowerCase(Locale.ROOT);
        }
    }

    /**
     * Holds for requests whose body has a field, which is then one of its known fields.
     *
     * @param name the field; {@code a.b} is the field b of the object a
     * @param value its value as a text; null for any
     */
    public record WithField(String name, String value) implements Condition {}

    /**
     * Holds for prompts that begin with a text; of a conversation the first message.
     *
     * @param text the text
     */
    public record WithPrefix(String text) implements Condition {}

    /**
     * Holds for requests for which several conditions hold.
     *
     * @param conditions the conditions
     */
    public record AllOf(List<Condition> conditions) implements Condition {

        /**
         * Constructs a new {@code AllOf} instance.
         *
         * @param conditions the conditions
         */
        public AllOf {
            conditions = List.copyOf(conditions);
        }
    }

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

    /** Returns the fields of bodies that are known because of the rules. */
    Set<String> fields() {
        Set<String> fields = new TreeSet<>(strip);
        rules.forEach(rule -> collect(rule.condition, fields));
        return fields;
    }

    private static void collect(Condition condition, Set<String> fields) {
        if (condition instanceof WithField with) {
            fields.add(with.name.split("\\.", 2)[0]);
        } else if (condition instanceof AllOf all) {
            all.conditions.forEach(each -> collect(each, fields));
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
