/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands changes to listeners in their order, without a thread of its own: whoever brings a change
 * while nobody is at it hands out all that wait.
 */
final class EventQueue {

    private static final Logger logger = LoggerFactory.getLogger(EventQueue.class);

    private final List<RegistryListener> listeners = new CopyOnWriteArrayList<>();
    private final Queue<RegistryEvent> waiting = new ConcurrentLinkedQueue<>();

    /** How often {@link #deliver} was called since somebody began to hand out. */
    private final AtomicInteger calls = new AtomicInteger();

    void addListener(RegistryListener listener) {
        listeners.add(listener);
    }

    void removeListener(RegistryListener listener) {
        listeners.remove(listener);
    }

    /** Takes a change; called in the order of the changes. */
    void add(RegistryEvent event) {
        if (!listeners.isEmpty()) {
            waiting.add(event);
        }
    }

    /** Hands out what waits, unless another thread, or this one further up, is doing so. */
    void deliver() {
        if (calls.getAndIncrement() != 0) {
            return;
        }
        int seen = 1;
        boolean done = false;
        try {
            do {
                RegistryEvent event = waiting.poll();
                while (event != null) {
                    handOut(event);
                    event = waiting.poll();
                }
                seen = calls.addAndGet(-seen);
            } while (seen != 0);
            done = true;
        } finally {
            if (!done) {
                calls.set(0); // an Error in a listener leaves the rest to the next call
            }
        }
    }

    private void handOut(RegistryEvent event) {
        for (RegistryListener listener : listeners) {
            try {
                listener.onChange(event);
            } catch (RuntimeException e) {
                logger.error("A listener failed on change {}", event.sequence(), e);
            }
        }
    }
}
