/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

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
    private final Set<String> known = ConcurrentHashMap.newKeySet();

    MetricLabels(int most) {
        this.most = most;
    }

    /** Returns the label of an adapter; "" is the base model. */
    String of(String adapter) {
        if (adapter.isEmpty()) {
            return BASE;
        }
        if (known.contains(adapter)) {
            return adapter;
        }
        synchronized (known) {
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
