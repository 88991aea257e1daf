/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A rule: which requests go to an adapter. All that it says must hold.
 *
 * @param tenant whose requests
 * @param header those with this header
 * @param field those with this field in their JSON body
 * @param equal the value that the header or the field must have; any by default
 * @param prefix those whose texts begin so
 * @param percentage the share of them, of 100, always the same for a session
 * @param adapter the adapter, "" for the base model
 */
record RoutingRule(
        Optional<String> tenant,
        Optional<String> header,
        Optional<String> field,
        Optional<String> equal,
        Optional<String> prefix,
        OptionalDouble percentage,
        String adapter) {

    /**
     * Reads a rule.
     *
     * @param config the rule
     * @return the rule
     * @throws IllegalArgumentException if it says nothing, or something unknown
     */
    static RoutingRule of(ConfigObject config) {
        config.refuseUnknown(
                "tenant", "header", "field", "equals", "prefix", "percentage", "adapter");
        RoutingRule rule =
                new RoutingRule(
                        config.optionalText("tenant"),
                        config.optionalText("header"),
                        config.optionalText("field"),
                        config.optionalText("equals"),
                        config.optionalText("prefix"),
                        config.share("percentage"),
                        config.text("adapter"));
        boolean named = rule.header.isPresent() || rule.field.isPresent();
        if (!named && rule.tenant.isEmpty() && rule.prefix.isEmpty() && rule.percentage.isEmpty()) {
            throw new IllegalArgumentException(
                    config.place()
                            + " has no condition; tenant, header, field, prefix or percentage is"
                            + " needed, or default in place of a rule");
        }
        if (rule.equal.isPresent() && !named || rule.header.isPresent() && rule.field.isPresent()) {
            throw new IllegalArgumentException(
                    config.place() + ".equals belongs to one of header and field; give one");
        }
        return rule;
    }

    /**
     * Returns whether a request goes to the rule's adapter.
     *
     * @param request the request
     * @param whose its tenant
     * @param session what the share is kept by
     * @return whether all of the rule's conditions hold
     */
    boolean matches(RouteRequest request, Optional<String> whose, String session) {
        return (tenant.isEmpty() || tenant.equals(whose))
                && matches(header.map(request::header))
                && matches(field.map(request::field))
                && prefix.stream().allMatch(request::startsWith)
                && (percentage.isEmpty() || place(session) < percentage.getAsDouble());
    }

    private boolean matches(Optional<Optional<String>> found) {
        return found.isEmpty()
                || found.get().isPresent() && (equal.isEmpty() || equal.equals(found.get()));
    }

    /** Returns where a session lies from 0 to 100, evenly, and for each adapter otherwise. */
    private double place(String session) {
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256")
                            .digest((adapter + '\n' + session).getBytes(StandardCharsets.UTF_8));
            int bits = (hash[0] & 255) << 16 | (hash[1] & 255) << 8 | hash[2] & 255;
            return 100.0 * bits / (1 << 24);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
