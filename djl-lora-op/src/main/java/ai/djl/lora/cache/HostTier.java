/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.compress.EncodedAdapter;
import ai.djl.lora.compress.HostCodec;
import ai.djl.lora.compress.HostCompressor;
import ai.djl.lora.memory.Arena;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.PoolStatistics;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongFunction;
import java.util.function.Supplier;

/**
 * Packed adapters in the host's memory, from where they reach the device without their files. Each
 * is one block of a pool; what has not been used for a while can be compressed.
 */
final class HostTier implements AutoCloseable {

    private final Tier tier;
    private final boolean enabled;
    private final Supplier<HostCodec> plain;
    private final Supplier<HostCodec> codec;
    private final LongFunction<Arena<ByteBuffer>> memory;
    private final Map<String, HostCopy> copies = new ConcurrentHashMap<>();

    /** Whose copies are being made: one at a time of each. */
    private final Set<String> filling = ConcurrentHashMap.newKeySet();

    private BlockPool<ByteBuffer> pool;
    private boolean closed;

    /**
     * Constructs a new {@code HostTier} instance.
     *
     * @param tier what counts and chooses
     * @param enabled whether copies are kept
     * @param plain keeps adapters as they are
     * @param codec compresses what has not been used
     * @param memory takes memory of a size in bytes, closed with this
     */
    HostTier(
            Tier tier,
            boolean enabled,
            Supplier<HostCodec> plain,
            Supplier<HostCodec> codec,
            LongFunction<Arena<ByteBuffer>> memory) {
        this.tier = tier;
        this.enabled = enabled;
        this.plain = plain;
        this.codec = codec;
        this.memory = memory;
    }

    /* Memory is taken with the first copy, in a range of addresses that is as large as the limit. */
    private synchronized Optional<BlockPool<ByteBuffer>> pool() {
        if (closed) {
            return Optional.empty();
        }
        if (pool == null) {
            pool = new BlockPool<>(memory.apply(tier.limits().bytes()));
        }
        return Optional.of(pool);
    }

    /** Returns an adapter's copy, counted as a use, and as it was before it was compressed. */
    Optional<ReadyAdapter> get(ManagedAdapter adapter) {
        if (!enabled) {
            return Optional.empty();
        }
        HostCopy copy = copies.get(adapter.id());
        if (copy == null || !copy.tryHold()) {
            tier.miss(adapter.deviceEntry());
            return Optional.empty();
        }
        ReadyAdapter ready;
        boolean compressed = copy.isCompressed();
        try {
            tier.hit(entry(adapter, copy.bytes()));
            ready = copy.read();
        } finally {
            copy.release();
        }
        if (compressed) {
            remove(adapter, EvictionCause.REQUEST);
            offer(adapter, ready, Tier.Demand.REQUEST);
        }
        return Optional.of(ready);
    }

    /** Returns whether there is a copy, without counting as a use. */
    boolean holds(ManagedAdapter adapter) {
        return copies.containsKey(adapter.id());
    }

    /** Returns an adapter's copy, without counting as a use. */
    Optional<ReadyAdapter> peek(ManagedAdapter adapter) {
        HostCopy copy = copies.get(adapter.id());
        if (copy == null || !copy.tryHold()) {
            return Optional.empty();
        }
        try {
            return Optional.of(copy.read());
        } finally {
            copy.release();
        }
    }

    /**
     * Keeps a copy, if there is room for it.
     *
     * @param adapter the adapter
     * @param ready what it is
     * @param demand for whom room is made
     */
    void offer(ManagedAdapter adapter, ReadyAdapter ready, Tier.Demand demand) {
        if (!enabled || !filling.add(adapter.id())) {
            return;
        }
        try {
            if (!copies.containsKey(adapter.id())) {
                EncodedAdapter encoded = new HostCompressor(plain.get()).encode(ready.packed());
                long bytes = HostCopy.bytes(encoded.data().length, ready.beside());
                CacheEntry entry = entry(adapter, bytes);
                if (tier.reserve(entry, demand, this::isIdle, this::free)) {
                    fill(adapter, entry, encoded, ready.beside());
                }
            }
        } finally {
            filling.remove(adapter.id());
        }
    }

    private void fill(
            ManagedAdapter adapter,
            CacheEntry entry,
            EncodedAdapter encoded,
            AdapterChanges beside) {
        Optional<HostCopy> copy = Optional.empty();
        try {
            copy = store(encoded, beside, false);
        } finally {
            if (copy.isPresent()) {
                copies.put(adapter.id(), copy.get());
            } else {
                tier.cancel(entry);
            }
        }
        if (adapter.isRetired()) {
            // it may have been retired before the copy could be seen
            remove(adapter, EvictionCause.RETIRED);
        }
    }

    /* A pool that is in pieces is put together once. */
    private Optional<HostCopy> store(
            EncodedAdapter encoded, AdapterChanges beside, boolean compressed) {
        int size = encoded.data().length;
        BlockPool<ByteBuffer> from = pool().orElse(null);
        if (from == null) {
            return Optional.empty();
        }
        if (size == 0) {
            return Optional.of(
                    new HostCopy(from, Optional.empty(), encoded.encoding(), beside, compressed));
        }
        Optional<Block<ByteBuffer>> block = from.tryAllocate(size);
        if (block.isEmpty() && from.statistics().free() >= BlockPool.footprint(size)) {
            from.defragment(size);
            block = from.tryAllocate(size);
        }
        return block.map(
                filled -> {
                    filled.access(view -> view.put(encoded.data()));
                    return new HostCopy(
                            from, Optional.of(filled), encoded.encoding(), beside, compressed);
                });
    }

    /**
     * Compresses an adapter's copy where that makes it smaller.
     *
     * @return whether it was
     */
    boolean compress(ManagedAdapter adapter) {
        HostCopy copy = copies.get(adapter.id());
        if (copy == null || copy.isCompressed() || !copy.tryHold()) {
            return false;
        }
        try {
            ReadyAdapter ready = copy.read();
            EncodedAdapter encoded = new HostCompressor(codec.get()).encode(ready.packed());
            long bytes = HostCopy.bytes(encoded.data().length, ready.beside());
            if (bytes >= copy.bytes()) {
                return false;
            }
            Optional<HostCopy> smaller = store(encoded, ready.beside(), true);
            if (smaller.isEmpty()) {
                return false;
            }
            if (!copies.replace(adapter.id(), copy, smaller.get())) {
                smaller.get().release();
                return false;
            }
            // what the tier held of the former
            copy.release();
            tier.replace(entry(adapter, bytes));
            return true;
        } finally {
            copy.release();
        }
    }

    /** Drops an adapter's copy. */
    void remove(ManagedAdapter adapter, EvictionCause cause) {
        tier.remove(adapter.deviceEntry(), cause, this::drop);
    }

    /** Drops copies until no more than so many bytes are held. */
    int shrink(long target, EvictionCause cause) {
        return tier.shrink(target, cause, this::isIdle, this::free);
    }

    /** Gives memory in which no copy lies back to the system. Returns how many bytes. */
    long trim() {
        BlockPool<ByteBuffer> trimmed;
        synchronized (this) {
            if (pool == null || closed) {
                return 0;
            }
            trimmed = pool;
        }
        trimmed.defragment();
        return trimmed.trim();
    }

    boolean isCompressed(ManagedAdapter adapter) {
        HostCopy copy = copies.get(adapter.id());
        return copy != null && copy.isCompressed();
    }

    boolean isEnabled() {
        return enabled;
    }

    /* A place that is kept for a copy that is not there yet cannot be had. */
    private boolean isIdle(CacheEntry entry) {
        HostCopy copy = copies.get(entry.id());
        return copy != null && copy.isIdle();
    }

    /* Called under the tier's lock, so that what is counted and what is held stay the same. */
    private boolean free(CacheEntry entry) {
        HostCopy copy = copies.get(entry.id());
        return copy != null && copy.tryFree() && copies.remove(entry.id(), copy);
    }

    /* Whoever reads it frees it. */
    private boolean drop(CacheEntry entry) {
        HostCopy copy = copies.remove(entry.id());
        if (copy != null) {
            copy.release();
        }
        return copy != null;
    }

    Tier tier() {
        return tier;
    }

    /** Returns how the pool stands; empty before the first copy. */
    synchronized Optional<PoolStatistics> poolStatistics() {
        return Optional.ofNullable(pool).map(BlockPool::statistics);
    }

    private static CacheEntry entry(ManagedAdapter adapter, long bytes) {
        CacheEntry known = adapter.deviceEntry();
        return new CacheEntry(adapter.id(), bytes, known.loadNanos(), known.priority());
    }

    /** Frees every copy; nobody may read one any more. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            copies.clear();
            if (pool != null) {
                pool.close();
            }
        }
    }
}
