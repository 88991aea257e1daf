/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.registry.AdapterAccess;
import java.lang.ref.SoftReference;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A revision of a registered adapter: where it came from, and while it is on the device its slot
 * and the number of its leases. There may be tens of thousands; what is large lies elsewhere.
 *
 * <p>The count of leases is the lock of the slot: it is taken and given back without any other
 * lock, and the slot is freed only by whoever sets a count of 0 to {@link #ABSENT}.
 */
final class ManagedAdapter {

    private static final int ABSENT = -1;

    /** On the device, and on its way to another place there. */
    private static final int MOVING = -2;

    private final String name;
    private final String id;
    private final Path source;
    private final String revision;
    private final LoadingPolicy policy;
    private final AtomicInteger leases = new AtomicInteger(ABSENT);
    private volatile int slot;
    private volatile CacheEntry deviceEntry;
    private volatile boolean retired;
    private volatile boolean pinned;
    private volatile boolean foreseen;
    private volatile long lastUsed;
    private volatile long since;

    /** Can be read again at any time; a report may be larger than all the rest. */
    private volatile SoftReference<LoadReport> report = new SoftReference<>(null);

    /** What the registry has not taken; null for an adapter that is on record. */
    private volatile AdapterNotes unrecorded;

    private volatile AdapterAccess access;
    private volatile UnavailablePolicy unavailable;
    private Load load;

    /**
     * Constructs a new {@code ManagedAdapter} instance that is nowhere but on the disk.
     *
     * @param name the name under which it is registered
     * @param id a name that no other adapter of the store has or had
     * @param source where its files are
     * @param revision its content hash
     * @param policy how strictly it is read
     */
    ManagedAdapter(String name, String id, Path source, String revision, LoadingPolicy policy) {
        this.name = name;
        this.id = id;
        this.source = source;
        this.revision = revision;
        this.policy = policy;
        this.deviceEntry = new CacheEntry(id, 0, 0, 0);
    }

    String name() {
        return name;
    }

    String id() {
        return id;
    }

    Path source() {
        return source;
    }

    String revision() {
        return revision;
    }

    LoadingPolicy policy() {
        return policy;
    }

    /** Returns what was applied when the adapter was read, if that is still known. */
    Optional<LoadReport> report() {
        return Optional.ofNullable(report.get());
    }

    void setReport(LoadReport known) {
        report = new SoftReference<>(known);
    }

    /** Returns what was noted of a revision that is not on record. */
    Optional<AdapterNotes> unrecorded() {
        return Optional.ofNullable(unrecorded);
    }

    void setUnrecorded(AdapterNotes notes) {
        unrecorded = notes;
    }

    /** Returns the slot; it is the adapter's as long as it is leased. */
    int slot() {
        return slot;
    }

    /** Returns what the device tier knows of the adapter. */
    CacheEntry deviceEntry() {
        return deviceEntry;
    }

    void setSize(long bytes) {
        CacheEntry known = deviceEntry;
        deviceEntry = new CacheEntry(id, bytes, known.loadNanos(), known.priority());
    }

    void setLoadNanos(long nanos) {
        CacheEntry known = deviceEntry;
        deviceEntry = new CacheEntry(id, known.bytes(), nanos, known.priority());
    }

    void setPriority(double priority) {
        CacheEntry known = deviceEntry;
        deviceEntry = new CacheEntry(id, known.bytes(), known.loadNanos(), priority);
    }

    /** Takes a lease if the adapter is on the device. */
    boolean tryLease() {
        while (true) {
            int count = leases.get();
            if (count == ABSENT) {
                return false;
            }
            if (count == MOVING) {
                // a copy within the device's memory, of a millisecond or so
                Thread.onSpinWait();
            } else if (leases.compareAndSet(count, count + 1)) {
                return true;
            }
        }
    }

    /** Gives a lease back. Returns whether it was the last. */
    boolean release() {
        return leases.decrementAndGet() == 0;
    }

    /** Puts the adapter on the device, with leases for those who wait for it. */
    void publish(int newSlot, int newLeases, long now) {
        slot = newSlot;
        since = now;
        leases.set(newLeases);
    }

    /** Takes the adapter from the device if nobody uses it; the caller then frees the slot. */
    boolean tryWithdraw(long now) {
        boolean withdrawn = leases.compareAndSet(0, ABSENT);
        if (withdrawn) {
            since = now;
        }
        return withdrawn;
    }

    /** Keeps leases away while the slot's memory is moved; false where there are any. */
    boolean tryHold() {
        return leases.compareAndSet(0, MOVING);
    }

    /** Lets leases in again after {@link #tryHold}. */
    void endHold() {
        leases.set(0);
    }

    boolean isOnDevice() {
        return leases.get() != ABSENT;
    }

    int leases() {
        return Math.max(0, leases.get());
    }

    /** Returns whether the adapter is on the device and may leave it. */
    boolean isIdle() {
        return leases.get() == 0 && !pinned;
    }

    void setPinned(boolean pinned) {
        this.pinned = pinned;
    }

    boolean isPinned() {
        return pinned;
    }

    void retire() {
        retired = true;
    }

    boolean isRetired() {
        return retired;
    }

    /** Notes that the adapter is loaded before anybody has asked for it. */
    void setForeseen(boolean foreseen) {
        this.foreseen = foreseen;
    }

    boolean isForeseen() {
        return foreseen;
    }

    /** Notes a use for which the adapter was on the device. */
    void hit(long now) {
        access.hit();
        lastUsed = now;
    }

    /** Notes a use for which the adapter has to be loaded. */
    void miss(long now) {
        access.miss();
        lastUsed = now;
    }

    /** Returns what happens when the adapter cannot be had, or null where the store says that. */
    UnavailablePolicy unavailable() {
        return unavailable;
    }

    void setUnavailable(UnavailablePolicy policy) {
        unavailable = policy;
    }

    AdapterAccess access() {
        return access;
    }

    /** Sets what counts the uses, before there is any. */
    void setAccess(AdapterAccess access) {
        this.access = access;
    }

    /** Returns when the adapter was last asked for or moved, in the store's ticks. */
    long lastActive() {
        return Math.max(lastUsed, since);
    }

    /** Returns since when the adapter has been on the device, or off it. */
    long since() {
        return since;
    }

    /** Returns the load under way, or null. Guarded by this object's monitor. */
    Load load() {
        return load;
    }

    void setLoad(Load load) {
        this.load = load;
    }
}
