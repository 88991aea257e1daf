/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.server.http.HttpFailure;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The stacks that requests ask for by their parts. The store knows stacks by name, so each gets one
 * of its own for as long as a request with just these weights runs: adapters that are parts of a
 * stack cannot be taken away, and a stack that nobody uses must not be in the way of that.
 */
final class RequestStacks {

    /** Begins the names of such stacks, by which no request can ask for them. */
    static final String PREFIX = "~request:";

    private static final int MOST = 1024;

    private final AdapterStore store;
    private final Map<String, Integer> users = new HashMap<>();

    /**
     * Constructs a new {@code RequestStacks} instance.
     *
     * @param store the adapters
     */
    RequestStacks(AdapterStore store) {
        this.store = store;
    }

    /**
     * Returns the stack of some adapters.
     *
     * @param name what it is called in the answer
     * @param parts the weights by the store's names of the adapters
     * @return the choice, which must be released once
     */
    AdapterChoice open(String name, Map<String, Float> parts) {
        String target = PREFIX + new TreeMap<>(parts);
        synchronized (this) {
            int before = users.getOrDefault(target, 0);
            if (before == 0) {
                if (users.size() >= MOST) {
                    throw new HttpFailure(
                            429,
                            "too_many_stacks",
                            "requests with "
                                    + MOST
                                    + " different stacks run already; try again later",
                            "lora",
                            Map.of("Retry-After", "1"),
                            null);
                }
                register(name, target, parts);
            }
            users.put(target, before + 1);
        }
        AtomicBoolean open = new AtomicBoolean(true);
        return new AdapterChoice(
                name,
                target,
                () -> {
                    if (open.compareAndSet(true, false)) {
                        release(target);
                    }
                });
    }

    private void register(String name, String target, Map<String, Float> parts) {
        try {
            store.registerStack(target, parts);
        } catch (LoraVariantException e) {
            String reason = String.valueOf(e.getMessage()).replace(target, name);
            throw new HttpFailure(400, "invalid_request", reason, "lora", Map.of(), e);
        }
    }

    private synchronized void release(String target) {
        int left = users.get(target) - 1;
        if (left > 0) {
            users.put(target, left);
            return;
        }
        users.remove(target);
        try {
            store.unregister(target);
        } catch (LoraConfigurationException | IllegalStateException e) {
            // the store has been closed, or someone took the stack away
            return;
        }
    }
}
