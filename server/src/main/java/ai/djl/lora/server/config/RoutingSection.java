/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.server.inference.RoutingRules;
import ai.djl.lora.server.inference.RoutingRules.AllOf;
import ai.djl.lora.server.inference.RoutingRules.Always;
import ai.djl.lora.server.inference.RoutingRules.Condition;
import ai.djl.lora.server.inference.RoutingRules.OfTenant;
import ai.djl.lora.server.inference.RoutingRules.Rule;
import ai.djl.lora.server.inference.RoutingRules.WithField;
import ai.djl.lora.server.inference.RoutingRules.WithHeader;
import ai.djl.lora.server.inference.RoutingRules.WithPrefix;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The section of a server's file that says which adapter answers requests that name none, by the
 * names that a route of DJL Serving's workflows has here.
 */
final class RoutingSection {

    private static final double SMALLEST_SHARE = 1e-6;

    /** What answers where a rule's adapter cannot; null for nothing. */
    private String fallback;

    private final List<Rule> rules = new ArrayList<>();

    private RoutingSection() {}

    /** Reads the section, and ends it. */
    static Optional<RoutingRules> parse(ConfigSection section) {
        return new RoutingSection().read(section);
    }

    private Optional<RoutingRules> read(ConfigSection section) {
        String[] otherwise = new String[1];
        List<String> strip = new ArrayList<>();
        section.anyText("fallback", value -> fallback = value);
        section.items("rules", this::rule);
        section.anyText("default", value -> otherwise[0] = value);
        section.list("strip", strip::addAll);
        boolean present = section.isPresent();
        section.end();
        if (otherwise[0] != null) {
            rules.add(new Rule(new Always(), 100, otherwise[0], fallback));
        }
        return present ? Optional.of(new RoutingRules(rules, strip)) : Optional.empty();
    }

    private void rule(ConfigSection section) {
        List<Condition> conditions = new ArrayList<>();
        String[] values = new String[4];
        double[] percent = {100};
        section.text("tenant", value -> conditions.add(new OfTenant(value)));
        section.text("header", value -> values[0] = value);
        section.text("field", value -> values[1] = value);
        section.anyText("equals", value -> values[2] = value);
        section.text("prefix", value -> conditions.add(new WithPrefix(value)));
        section.number("percentage", SMALLEST_SHARE, 100, value -> percent[0] = value);
        section.anyText("adapter", value -> values[3] = value);
        section.require("adapter");
        section.end();
        boolean both = values[0] != null && values[1] != null;
        section.checkThat("field", !both, "and header are both given; give them to two rules");
        section.checkThat(
                "equals",
                values[2] == null || values[0] != null || values[1] != null,
                "needs header or field, whose value it is");
        if (values[0] != null) {
            conditions.add(new WithHeader(values[0], values[2]));
        }
        if (values[1] != null) {
            conditions.add(new WithField(values[1], values[2]));
        }
        if (section.isPresent() && conditions.isEmpty() && !section.has("percentage")) {
            section.problem(
                    "adapter",
                    "a rule has no condition; tenant, header, field, prefix or percentage is"
                            + " needed, or routing.default in its place");
        }
        if (values[3] != null) {
            Condition condition = conditions.isEmpty() ? new Always() : new AllOf(conditions);
            rules.add(new Rule(condition, percent[0], values[3], fallback));
        }
    }
}
