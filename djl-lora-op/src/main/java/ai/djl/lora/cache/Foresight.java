/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;

/** What is likely to be asked for next, and whether it was. */
final class Foresight {

    private final LongAdder loaded = new LongAdder();
    private final LongAdder used = new LongAdder();
    private final LongAdder wasted = new LongAdder();

    /** Returns adapters that are likely to be asked for, likeliest first. */
    Stream<ManagedAdapter> likely(int count) {
        return Stream.empty();
    }

    /** Notes that an adapter was put on the device before anybody had asked for it. */
    void loaded(ManagedAdapter adapter) {
        adapter.setForeseen(true);
        loaded.increment();
    }

    /** Notes that an adapter was asked for that is on the device. */
    void used(ManagedAdapter adapter) {
        if (adapter.isForeseen()) {
            adapter.setForeseen(false);
            used.increment();
        }
    }

    /** Notes that an adapter has left the device. */
    void left(ManagedAdapter adapter) {
        if (adapter.isForeseen()) {
            adapter.setForeseen(false);
            wasted.increment();
        }
    }

    long loadedCount() {
        return loaded.sum();
    }

    long usedCount() {
        return used.sum();
    }

    long wastedCount() {
        return wasted.sum();
    }
}
