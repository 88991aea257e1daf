/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.util.List;
import java.util.function.Predicate;

/**
 * Which adapters a caller may use and see: names, and patterns in which a star stands for any text,
 * as in {@code legal-*}.
 *
 * @param patterns the names and patterns
 * @param base whether the caller may use the base model without an adapter
 */
public record AdapterAccess(List<String> patterns, boolean base) implements Predicate<String> {

    /** Every adapter, and the base model. */
    public static final AdapterAccess ALL = new AdapterAccess(List.of("*"), true);

    /** No adapter, and not the base model. */
    public static final AdapterAccess NONE = new AdapterAccess(List.of(), false);

    /**
     * Constructs a new {@code AdapterAccess} instance.
     *
     * @param patterns the names and patterns; copied
     * @param base whether the caller may use the base model without an adapter
     * @throws LoraConfigurationException if a pattern is blank
     */
    public AdapterAccess {
        patterns = List.copyOf(patterns);
        if (patterns.stream().anyMatch(String::isBlank)) {
            throw new LoraConfigurationException("a pattern of adapters is blank");
        }
    }

    /**
     * Returns whether the caller may use and see an adapter.
     *
     * @param adapter its name; "" for the base model
     * @return whether it may
     */
    @Override
    public boolean test(String adapter) {
        if (adapter.isEmpty()) {
            return base;
        }
        return patterns.stream().anyMatch(pattern -> matches(pattern, adapter));
    }

    /* Its time is bounded by the product of the lengths, whatever the pattern. */
    private static boolean matches(String pattern, String name) {
        int p = 0;
        int n = 0;
        int star = -1;
        int resume = 0;
        while (n < name.length()) {
            if (p < pattern.length() && pattern.charAt(p) == '*') {
                star = p++;
                resume = n;
            } else if (p < pattern.length() && pattern.charAt(p) == name.charAt(n)) {
                ++p;
                ++n;
            } else if (star >= 0) {
                p = star + 1;
                n = ++resume;
            } else {
                return false;
            }
        }
        while (p < pattern.length() && pattern.charAt(p) == '*') {
            ++p;
        }
        return p == pattern.length();
    }
}
