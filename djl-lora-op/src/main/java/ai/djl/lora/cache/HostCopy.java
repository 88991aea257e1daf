/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.compress.Encoding;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.op.PackedAdapter;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An adapter in the host's memory: the operator's part as one block of the tier's pool, and what
 * lies beside it. Whoever reads it holds it; the block is freed when the last one lets go.
 */
final class HostCopy {

    private final BlockPool<ByteBuffer> pool;
    private final Optional<Block<ByteBuffer>> block;
    private final Encoding encoding;
    private final AdapterChanges beside;
    private final boolean compressed;

    /** The tier and the readers. */
    private final AtomicInteger holders = new AtomicInteger(1);

    /**
     * Constructs a new {@code HostCopy} instance.
     *
     * @param pool where the block comes from
     * @param block the block, filled; empty where all of the adapter lies beside it
     * @param encoding how to read it
     * @param beside what the adapter changes beside the operator's part
     * @param compressed whether it takes less than it did
     */
    HostCopy(
            BlockPool<ByteBuffer> pool,
            Optional<Block<ByteBuffer>> block,
            Encoding encoding,
            AdapterChanges beside,
            boolean compressed) {
        this.pool = pool;
        this.block = block;
        this.encoding = encoding;
        this.beside = beside;
        this.compressed = compressed;
    }

    /** Returns what a copy takes of the tier. */
    static long bytes(long encoded, AdapterChanges beside) {
        return (encoded == 0 ? 0 : BlockPool.footprint(encoded)) + beside.bytes();
    }

    long bytes() {
        return bytes(block.map(Block::bytes).orElse(0L), beside);
    }

    boolean isCompressed() {
        return compressed;
    }

    Encoding encoding() {
        return encoding;
    }

    /** Holds the copy, unless it is gone already. */
    boolean tryHold() {
        int count = holders.get();
        while (count != 0) {
            if (holders.compareAndSet(count, count + 1)) {
                return true;
            }
            count = holders.get();
        }
        return false;
    }

    /** Reads the adapter, for one who holds the copy. */
    ReadyAdapter read() {
        PackedAdapter packed =
                block.isPresent()
                        ? block.get().access(encoding::decode)
                        : encoding.decode(ByteBuffer.allocate(0));
        return new ReadyAdapter(packed, beside);
    }

    void release() {
        if (holders.decrementAndGet() == 0) {
            block.ifPresent(pool::free);
        }
    }

    /** Frees the block if nobody reads it. */
    boolean tryFree() {
        boolean free = holders.compareAndSet(1, 0);
        if (free) {
            block.ifPresent(pool::free);
        }
        return free;
    }

    boolean isIdle() {
        return holders.get() == 1;
    }
}
