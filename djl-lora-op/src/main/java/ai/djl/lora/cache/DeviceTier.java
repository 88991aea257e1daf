/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.SlotGuard;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The adapters in the operator's table: who is there, and what has to leave for whom. */
final class DeviceTier {

    private static final Logger logger = LoggerFactory.getLogger(DeviceTier.class);

    private final LoraContext context;
    private final Tier tier;
    private final Foresight foresight;
    private final StoreEvents events;
    private final SlotGuard guard = new UnleasedSlots();
    private final LongSupplier ticker;

    /** Every adapter on the device, by id: the named ones, and retired ones that are leased. */
    private final Map<String, ManagedAdapter> residents = new ConcurrentHashMap<>();

    /** The same, by their slots. */
    private final Map<Integer, ManagedAdapter> slots = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code DeviceTier} instance.
     *
     * @param context the model's context
     * @param tier what counts and chooses
     * @param foresight what is told of adapters that come and go unasked
     * @param events who is told of loads
     * @param ticker the time in nanoseconds
     */
    DeviceTier(
            LoraContext context,
            Tier tier,
            Foresight foresight,
            StoreEvents events,
            LongSupplier ticker) {
        this.context = context;
        this.tier = tier;
        this.foresight = foresight;
        this.events = events;
        this.ticker = ticker;
    }

    Tier tier() {
        return tier;
    }

    Collection<ManagedAdapter> residents() {
        return residents.values();
    }

    /** What became of an adapter that was to be put on the device. */
    enum Placed {
        DONE,
        NO_ROOM,
        TOO_LARGE
    }

    /** Returns what an adapter takes on the device, at most. */
    long bytesOf(ReadyAdapter ready) {
        return context.getTable().bytesOf(ready.packed())
                + ready.beside().elements() * context.getType().bytes();
    }

    /**
     * Puts an adapter on the device and hands leases to those who wait for it.
     *
     * @param adapter the adapter
     * @param ready what it is
     * @param demand for whom room is made
     * @param release gives the lease of a waiter back who has gone
     */
    Placed put(
            ManagedAdapter adapter,
            ReadyAdapter ready,
            Tier.Demand demand,
            Consumer<ManagedAdapter> release) {
        Placed[] placed = new Placed[1];
        List<CompletableFuture<ManagedAdapter>> waiters = new ArrayList<>();
        context.keepingBackend(() -> placed[0] = putNow(adapter, ready, demand, waiters));
        for (CompletableFuture<ManagedAdapter> waiter : waiters) {
            if (!waiter.complete(adapter)) {
                release.accept(adapter);
            }
        }
        return placed[0];
    }

    private Placed putNow(
            ManagedAdapter adapter,
            ReadyAdapter ready,
            Tier.Demand demand,
            List<CompletableFuture<ManagedAdapter>> waiters) {
        adapter.setSize(bytesOf(ready));
        CacheEntry entry = adapter.deviceEntry();
        if (!tier.couldHold(entry.bytes())) {
            return Placed.TOO_LARGE;
        }
        if (!tier.reserve(entry, demand, this::isIdle, this::free)) {
            return Placed.NO_ROOM;
        }
        OptionalInt slot = OptionalInt.empty();
        try {
            slot = putParts(adapter, ready, demand);
        } finally {
            if (slot.isEmpty()) {
                tier.cancel(entry);
            }
        }
        if (slot.isEmpty()) {
            return Placed.NO_ROOM;
        }
        long now = ticker.getAsLong();
        long started = now;
        synchronized (adapter) {
            residents.put(adapter.id(), adapter);
            slots.put(slot.getAsInt(), adapter);
            if (adapter.load() != null) {
                started = adapter.load().started();
                waiters.addAll(adapter.load().waiters());
                tier.loaded(now - started);
                adapter.load().setDeadline(CompletableFuture.completedFuture(null));
                adapter.setLoad(null);
            }
            if (demand == Tier.Demand.FORESIGHT) {
                foresight.loaded(adapter);
            }
            adapter.publish(slot.getAsInt(), waiters.size(), now);
        }
        events.loaded(adapter, now - started);
        return Placed.DONE;
    }

    private OptionalInt putParts(ManagedAdapter adapter, ReadyAdapter ready, Tier.Demand demand) {
        AdapterChanges beside = ready.beside();
        Optional<AdapterExtras> extras = ExtrasLoader.load(context, adapter.source(), beside);
        OptionalInt slot = OptionalInt.empty();
        try {
            slot = putProducts(ready.packed(), demand);
        } finally {
            if (slot.isEmpty()) {
                extras.ifPresent(AdapterExtras::close);
            }
        }
        int taken = slot.orElse(BatchPlan.BASE);
        if (slot.isPresent()) {
            extras.ifPresent(extra -> context.putExtras(taken, extra));
        }
        return slot;
    }

    /* Room that lies in pieces is put together; what is leased stays where it is, between them. */
    private OptionalInt putProducts(PackedAdapter packed, Tier.Demand demand) {
        AdapterTable table = context.getTable();
        while (true) {
            try {
                return OptionalInt.of(table.put(packed));
            } catch (LoraMemoryException e) {
                boolean moved = table.defragment(guard).blocks() > 0;
                boolean evicted = !moved && demand == Tier.Demand.REQUEST && evictOne();
                if (!moved && !evicted) {
                    logger.debug("An adapter waits for room: {}", e.getMessage());
                    return OptionalInt.empty();
                }
            }
        }
    }

    private boolean evictOne() {
        long less = tier.statistics().bytes() - 1;
        return tier.shrink(less, EvictionCause.ROOM, this::isIdle, this::free) > 0;
    }

    /** Lets the table move what nobody uses. */
    private final class UnleasedSlots implements SlotGuard {

        /** {@inheritDoc} */
        @Override
        public boolean tryHold(int slot) {
            ManagedAdapter adapter = slots.get(slot);
            return adapter != null && adapter.tryHold();
        }

        /** {@inheritDoc} */
        @Override
        public void release(int slot) {
            slots.get(slot).endHold();
        }
    }

    private boolean isIdle(CacheEntry entry) {
        ManagedAdapter adapter = residents.get(entry.id());
        return adapter != null && adapter.isIdle();
    }

    /* Called under the tier's lock, and while the backend stays the same. */
    private boolean free(CacheEntry entry) {
        ManagedAdapter adapter = residents.get(entry.id());
        if (adapter == null || !adapter.tryWithdraw(ticker.getAsLong())) {
            return false;
        }
        residents.remove(entry.id());
        slots.remove(adapter.slot());
        foresight.left(adapter);
        if (!context.isClosed()) {
            context.removeExtras(adapter.slot());
            context.getTable().remove(adapter.slot());
        }
        return true;
    }

    /** Takes an adapter from the device if nobody uses it. Returns whether it is gone by that. */
    boolean remove(ManagedAdapter adapter, EvictionCause cause) {
        boolean[] gone = new boolean[1];
        context.keepingBackend(
                () -> gone[0] = tier.remove(adapter.deviceEntry(), cause, this::free));
        return gone[0];
    }

    /**
     * Takes adapters that nobody uses from the device until no more than so many bytes are held.
     */
    int shrink(long target, EvictionCause cause) {
        int[] gone = new int[1];
        context.keepingBackend(
                () -> gone[0] = tier.shrink(target, cause, this::isIdle, this::free));
        return gone[0];
    }

    /** Gives memory in which nothing lies back to the system. Returns how many bytes. */
    long trim() {
        long[] bytes = new long[1];
        context.keepingBackend(
                () -> {
                    if (context.hasTable() && !context.isClosed()) {
                        context.getTable().defragment(guard);
                        bytes[0] = context.getTable().trim();
                    }
                });
        return bytes[0];
    }

    /** Ends the backend's workers of the calling thread, which has moved what it had to. */
    void releaseThreads() {
        context.getBackend().releaseThreads();
    }

    /** Returns whether there is an adapter that could leave. */
    boolean hasIdle() {
        return residents.values().stream().anyMatch(ManagedAdapter::isIdle);
    }

    /**
     * Puts an adapter that is resident into another backend's table, in its slot. Its copy there
     * may be larger; what is too much leaves when room is made.
     */
    void copyTo(AdapterTable table, ManagedAdapter adapter, ReadyAdapter ready) {
        table.put(adapter.slot(), ready.packed());
        adapter.setSize(
                table.bytesOf(ready.packed())
                        + ready.beside().elements() * context.getType().bytes());
        tier.replace(adapter.deviceEntry());
    }
}
