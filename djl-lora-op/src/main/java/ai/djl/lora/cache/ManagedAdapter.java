/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cache.policy.CacheEntry;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/**
 * A registered adapter: where it came from, and while it is on the device its slot and the number
 * of its leases.
 *
 * <p>The count of leases is the lock of the slot: it is taken and given back without any other
 * lock, and the slot is freed only by whoever sets a count of 0 to {@link #ABSENT}.
 */
final class ManagedAdapter {

    private static final int ABSENT = -1;

    private final String name;
    private final Path source;
    private final String revision;
    private final LoadReport report;
    private final boolean stackable;
    private final String variants;
    private final String id;
    private final AtomicInteger leases = new AtomicInteger(ABSENT);
    private final LongAdder uses = new LongAdder();
    private volatile int slot;
    private volatile CacheEntry deviceEntry;
    private volatile boolean retired;
    private volatile boolean pinned;
    private volatile long lastUsed;
    private volatile long since;
    private volatile DiskImage image;
    private Load load;

    /**
     * Constructs a new {@code ManagedAdapter} instance that is nowhere but on the disk.
     *
     * @param name the name under which it is registered
     * @param adapter the adapter
     * @param id a name that no other adapter of the store has or had
     */
    ManagedAdapter(String name, LoraAdapter adapter, String id) {
        this.name = name;
        this.source = adapter.source();
        this.revision = adapter.revision();
        this.report = adapter.report();
        this.stackable = adapter.changes().isStackable();
        this.variants = adapter.changes().variants();
        this.id = id;
        this.deviceEntry = new CacheEntry(id, 0, 0, 0);
    }

    String name() {
        return name;
    }

    Path source() {
        return source;
    }

    String revision() {
        return revision;
    }

    LoadReport report() {
        return report;
    }

    String id() {
        return id;
    }

    /** Returns whether the adapter can be weighted and added to others. */
    boolean isStackable() {
        return stackable;
    }

    /** Returns the methods by which the adapter was trained, for messages. */
    String variants() {
        return variants;
    }

    /** Returns the slot; it is the adapter's as long as it is leased. */
    int slot() {
        return slot;
    }

    /** Returns what the device tier knows of the adapter. */
    CacheEntry deviceEntry() {
        return deviceEntry;
    }

    void setDeviceEntry(CacheEntry entry) {
        deviceEntry = entry;
    }

    /** Returns where the parts of the block lie in the files, or null where that is not known. */
    DiskImage image() {
        return image;
    }

    void setImage(DiskImage image) {
        this.image = image;
    }

    /** Takes a lease if the adapter is on the device. */
    boolean tryLease() {
        int count = leases.get();
        while (count != ABSENT) {
            if (leases.compareAndSet(count, count + 1)) {
                return true;
            }
            count = leases.get();
        }
        return false;
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

    /** Notes a use. */
    void use(long now) {
        uses.increment();
        lastUsed = now;
    }

    long uses() {
        return uses.sum();
    }

    /** Returns when the adapter was last leased, in the store's ticks; 0 if it never was. */
    long lastUsed() {
        return lastUsed;
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
