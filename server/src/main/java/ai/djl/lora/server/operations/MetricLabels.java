/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/**
 * The adapters that have metrics of their own: the first ones, up to a number, and every other one
 * under one label, so that whoever registers many adapters does not fill the memory of those who
 * collect metrics.
 */
final class MetricLabels {

    /** The label of those that have none of their own. */
    static final String OTHER = "other";

    /** The label of the base model. */
    static final String BASE = "base";

    private final int most;
    private final Predicate<String> registered;
    private final Object adding = new Object();
    private final Set<String> known = ConcurrentHashMap.newKeySet();

    /**
     * Constructs a new {@code MetricLabels} instance.
     *
     * @param most how many adapters have a label of their own
     * @param registered whether there is an adapter of a name; what clients make up has no label
     */
    MetricLabels(int most, Predicate<String> registered) {
        this.most = most;
        this.registered = registered;
    }

    /** Returns the label of an adapter; "" is the base model. */
    String of(String adapter) {
        if (adapter.isEmpty()) {
            return BASE;
        }
        if (known.contains(adapter)) {
            return adapter;
        }
        if (!registered.test(adapter)) {
            return OTHER;
        }
        synchronized (adding) {
            if (known.size() < most) {
                known.add(adapter);
                return adapter;
            }
        }
        return OTHER;
    }

    /** Gives the label of an adapter that is no more to another one. */
    void forget(String adapter) {
        known.remove(adapter);
    }
}
