/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.LoraContext;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/** The adapters in the operator's table: who is there, and what has to leave for whom. */
final class DeviceTier {

    private final LoraContext context;
    private final Tier tier;
    private final Foresight foresight;
    private final LongSupplier ticker;

    /** Every adapter on the device, by id: the named ones, and retired ones that are leased. */
    private final Map<String, ManagedAdapter> residents = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code DeviceTier} instance.
     *
     * @param context the model's context
     * @param tier what counts and chooses
     * @param foresight what is told of adapters that come and go unasked
     * @param ticker the time in nanoseconds
     */
    DeviceTier(LoraContext context, Tier tier, Foresight foresight, LongSupplier ticker) {
        this.context = context;
        this.tier = tier;
        this.foresight = foresight;
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
        Predicate<CacheEntry> idle = this::isIdle;
        if (!tier.reserve(entry, demand, idle, this::free)) {
            return Placed.NO_ROOM;
        }
        int slot;
        try {
            slot = putParts(adapter, ready);
        } catch (RuntimeException | OutOfMemoryError e) {
            tier.cancel(entry);
            throw e;
        }
        long now = ticker.getAsLong();
        synchronized (adapter) {
            residents.put(adapter.id(), adapter);
            if (adapter.load() != null) {
                waiters.addAll(adapter.load().waiters());
                tier.loaded(now - adapter.load().started());
                adapter.setLoad(null);
            }
            if (demand == Tier.Demand.FORESIGHT) {
                foresight.loaded(adapter);
            }
            adapter.publish(slot, waiters.size(), now);
        }
        return Placed.DONE;
    }

    private int putParts(ManagedAdapter adapter, ReadyAdapter ready) {
        AdapterChanges beside = ready.beside();
        Optional<AdapterExtras> extras = ExtrasLoader.load(context, adapter.source(), beside);
        try {
            int slot = context.getTable().put(ready.packed());
            extras.ifPresent(extra -> context.putExtras(slot, extra));
            return slot;
        } catch (RuntimeException | OutOfMemoryError e) {
            extras.ifPresent(AdapterExtras::close);
            throw e;
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
