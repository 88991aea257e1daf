/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.kv.KvCodec;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.HostArena;
import ai.djl.lora.model.KvPool;
import java.nio.ByteBuffer;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies of a pool's full blocks in the host's memory, encoded. The ones unused for longest go when
 * the memory is full.
 *
 * <p>A full block never changes, so that the copy of a block that was restored stays good: what is
 * put away again costs nothing, and is not rounded twice. For the engine's thread alone.
 */
final class ColdBlocks implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(ColdBlocks.class);

    private final KvPool pool;
    private final KvCodec codec;
    private final BlockPool<ByteBuffer> memory;
    private final byte[] plain;
    private final byte[] encoded;

    /** By prefix, the one unused for longest first. */
    private final Map<Prefix, Copy> copies = new LinkedHashMap<>();

    private long bytes;
    private long compressions;
    private long restores;

    /**
     * Constructs a new {@code ColdBlocks} instance.
     *
     * @param pool the pool that blocks come from and return to
     * @param codec how they are encoded; of this instance alone
     * @param limit the most bytes that the copies may take, a plain block or more
     */
    ColdBlocks(KvPool pool, KvCodec codec, long limit) {
        this.pool = pool;
        this.codec = codec;
        this.plain = new byte[Math.toIntExact(pool.bytesPerBlock())];
        this.encoded = new byte[Math.max(plain.length, codec.mostBytes())];
        this.memory = new BlockPool<>(new HostArena(limit));
    }

    /**
     * A block put away.
     *
     * @param memory its bytes
     * @param encoded whether the codec wrote them; else they are the block's own
     */
    private record Copy(Block<ByteBuffer> memory, boolean encoded) {}

    boolean contains(Prefix prefix) {
        return copies.containsKey(prefix);
    }

    int size() {
        return copies.size();
    }

    /** Returns what the copies take, in bytes. */
    long bytes() {
        return bytes;
    }

    /** Returns how many blocks were encoded. */
    long compressions() {
        return compressions;
    }

    /** Returns how many blocks were restored. */
    long restores() {
        return restores;
    }

    /**
     * Puts a block away; nothing is to do where a copy is there.
     *
     * @param prefix what the block holds
     * @param block the block's index in the pool
     * @param lost is told of those that had to go
     * @return whether there is a copy now
     */
    boolean put(Prefix prefix, int block, Consumer<Prefix> lost) {
        if (contains(prefix)) {
            touch(prefix);
            return true;
        }
        try {
            pool.readBlock(block, plain);
            int length = codec.encode(plain, encoded);
            boolean smaller = length != KvCodec.NOT_ENCODED && length < plain.length;
            int size = smaller ? length : plain.length;
            Optional<Block<ByteBuffer>> room = allocate(size, lost);
            if (room.isEmpty()) {
                return false;
            }
            byte[] source = smaller ? encoded : plain;
            room.get().access(view -> view.put(0, source, 0, size));
            copies.put(prefix, new Copy(room.get(), smaller));
            bytes += size;
            ++compressions;
            return true;
        } catch (RuntimeException e) {
            logger.warn("A KV block cannot be compressed and is given up", e);
            return false;
        }
    }

    private Optional<Block<ByteBuffer>> allocate(int size, Consumer<Prefix> lost) {
        Optional<Block<ByteBuffer>> room = memory.tryAllocate(size);
        Iterator<Map.Entry<Prefix, Copy>> oldest = copies.entrySet().iterator();
        while (room.isEmpty() && oldest.hasNext()) {
            Map.Entry<Prefix, Copy> entry = oldest.next();
            oldest.remove();
            free(entry.getValue());
            lost.accept(entry.getKey());
            room = memory.tryAllocate(size);
        }
        return room;
    }

    /** Has a copy, which must be there, go after all others. */
    void touch(Prefix prefix) {
        copies.put(prefix, copies.remove(prefix));
    }

    /**
     * Writes a copy to a block of the pool.
     *
     * @param prefix what the block is to hold
     * @param block the block's index in the pool, nobody's yet
     * @return whether the block is whole; if not, the copy is gone
     */
    boolean restore(Prefix prefix, int block) {
        Copy copy = copies.get(prefix);
        if (copy == null) {
            return false;
        }
        try {
            int size = (int) copy.memory().bytes();
            byte[] target = copy.encoded() ? encoded : plain;
            copy.memory().access(view -> view.get(0, target, 0, size));
            if (copy.encoded()) {
                codec.decode(encoded, size, plain);
            }
            pool.writeBlock(block, plain);
            touch(prefix);
            ++restores;
            return true;
        } catch (RuntimeException e) {
            logger.warn("A KV block cannot be restored; its tokens are run again", e);
            remove(prefix);
            return false;
        }
    }

    /** Forgets a copy, if there is one. */
    void remove(Prefix prefix) {
        Copy copy = copies.remove(prefix);
        if (copy != null) {
            free(copy);
        }
    }

    private void free(Copy copy) {
        bytes -= copy.memory().bytes();
        memory.free(copy.memory());
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        copies.clear();
        bytes = 0;
        memory.close();
    }
}
