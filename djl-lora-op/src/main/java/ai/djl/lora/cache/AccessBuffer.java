/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

/**
 * Takes notes of hits without making them wait: a few rings, each used by some of the threads, from
 * which a tier reads when it has its lock anyway. Notes that find a ring full are lost, as in
 * Caffeine's read buffer; a strategy does without them.
 *
 * @param <T> what is noted
 */
final class AccessBuffer<T> {

    private static final int RINGS = 8;
    private static final int SIZE = 64;

    private final Ring<T>[] rings;

    /** Constructs a new {@code AccessBuffer} instance. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    AccessBuffer() {
        rings = new Ring[RINGS];
        for (int i = 0; i < RINGS; ++i) {
            rings[i] = new Ring<>();
        }
    }

    /** Notes an access. Returns whether the ring should be read soon. */
    boolean add(T access) {
        long id = Thread.currentThread().getId();
        // threads' numbers follow one another; the multiplication spreads them
        return rings[(int) ((id * 0x9E3779B97F4A7C15L) >>> 61)].add(access);
    }

    /** Hands every note on, in no certain order; for one thread at a time. */
    void drain(Consumer<T> to) {
        for (Ring<T> ring : rings) {
            ring.drain(to);
        }
    }

    /**
     * A ring that many threads write and one reads. Its counters lie far from those of other rings,
     * so that threads on other cores do not wait for each other's cache lines.
     */
    private static final class Ring<T> {

        private static final int APART = 16;
        private static final int WRITTEN = APART;
        private static final int READ = 2 * APART;

        private final AtomicReferenceArray<T> notes = new AtomicReferenceArray<>(SIZE);
        private final AtomicLongArray counters = new AtomicLongArray(3 * APART);

        boolean add(T note) {
            long tail = counters.get(WRITTEN);
            long size = tail - counters.get(READ);
            if (size >= SIZE) {
                return true;
            }
            if (counters.compareAndSet(WRITTEN, tail, tail + 1)) {
                notes.lazySet((int) (tail % SIZE), note);
            }
            return size >= SIZE / 2;
        }

        void drain(Consumer<T> to) {
            long tail = counters.get(WRITTEN);
            long head = counters.get(READ);
            for (; head < tail; ++head) {
                T note = notes.getAndSet((int) (head % SIZE), null);
                if (note == null) {
                    // claimed and not yet there; the next time
                    break;
                }
                to.accept(note);
            }
            counters.lazySet(READ, head);
        }
    }
}
