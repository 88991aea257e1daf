/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.time.Instant;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.atomic.LongAdder;

/**
 * How one adapter is used. Counting takes tens of nanoseconds and does not make threads wait for
 * each other.
 *
 * <p>The frequency is the number of accesses, each of which counts half as much after every
 * half-life. It is not computed at each access: accesses are counted, and the count is added to the
 * decayed sum once in a while, as if all had come when the last one did. With {@value
 * #FOLDS_PER_HALF_LIFE} such steps in a half-life the frequency is off by at most 1.1 %.
 */
public final class AdapterAccess {

    static final int FOLDS_PER_HALF_LIFE = 64;

    private static final long NEVER = Long.MIN_VALUE;

    private static final AtomicReferenceFieldUpdater<AdapterAccess, Decayed> DECAYED =
            AtomicReferenceFieldUpdater.newUpdater(AdapterAccess.class, Decayed.class, "decayed");

    private final InstantSource clock;
    private final long halfLife;
    private final LongAdder hits = new LongAdder();
    private final LongAdder misses = new LongAdder();

    /** When the adapter was last used, in milliseconds of the clock. */
    private volatile long lastUsed = NEVER;

    private volatile Decayed decayed;

    /** The decayed sum at a time, and how many accesses it is made of. */
    private record Decayed(double sum, long accesses, long millis) {}

    AdapterAccess(InstantSource clock, long halfLife) {
        this.clock = clock;
        this.halfLife = halfLife;
        decayed = new Decayed(0, 0, clock.millis());
    }

    AdapterAccess(InstantSource clock, long halfLife, AccessRecord record) {
        this(clock, halfLife);
        hits.add(record.hits());
        misses.add(record.misses());
        lastUsed = record.lastUsed().map(Instant::toEpochMilli).orElse(NEVER);
        decayed =
                new Decayed(
                        record.frequency(),
                        record.hits() + record.misses(),
                        record.taken().toEpochMilli());
    }

    /** Counts a use of the adapter for which it was resident. */
    public void hit() {
        count(hits);
    }

    /** Counts a use of the adapter for which it had to be loaded. */
    public void miss() {
        count(misses);
    }

    private void count(LongAdder counter) {
        long before = lastUsed;
        long now = Math.max(before, clock.millis());
        Decayed last = decayed;
        if (now - last.millis >= halfLife / FOLDS_PER_HALF_LIFE) {
            // what is not yet in the sum came before this access, and decays by the time since
            DECAYED.compareAndSet(this, last, fold(last, before, now));
        }
        counter.increment();
        if (now != before) {
            lastUsed = now;
        }
    }

    private Decayed fold(Decayed last, long used, long now) {
        long accesses = accesses();
        long from = Math.max(last.millis, used);
        double sum = last.sum * decay(from - last.millis) + (accesses - last.accesses);
        return new Decayed(sum * decay(now - from), accesses, now);
    }

    private double decay(long millis) {
        return millis <= 0 ? 1 : Math.exp(-Math.log(2) * millis / halfLife);
    }

    private long accesses() {
        return hits.sum() + misses.sum();
    }

    /**
     * Returns how often the adapter was resident when it was used.
     *
     * @return the number since it was registered
     */
    public long hits() {
        return hits.sum();
    }

    /**
     * Returns how often the adapter had to be loaded to be used.
     *
     * @return the number since it was registered
     */
    public long misses() {
        return misses.sum();
    }

    /**
     * Returns when the adapter was used last.
     *
     * @return the time, empty if it was never used
     */
    public Optional<Instant> lastUsed() {
        long millis = lastUsed;
        return millis == NEVER ? Optional.empty() : Optional.of(Instant.ofEpochMilli(millis));
    }

    /**
     * Returns the number of accesses, each of which counts half as much after every half-life. An
     * adapter that is used {@code r} times in a half-life tends towards {@code r / ln 2}.
     *
     * @return the decayed number at this moment
     */
    public double frequency() {
        return fold(decayed, lastUsed, clock.millis()).sum;
    }

    AccessRecord record(String name) {
        Decayed now = fold(decayed, lastUsed, clock.millis());
        long missed = misses.sum();
        return new AccessRecord(
                name,
                Math.max(0, now.accesses - missed),
                missed,
                lastUsed(),
                now.sum,
                Instant.ofEpochMilli(now.millis));
    }
}
