/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.model.KvBlockAllocator;
import ai.djl.lora.model.KvPool;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * Who has which block of a pool: blocks are counted by those who use them, and full ones are kept
 * when nobody does, so that a sequence that begins with the same tokens can go on behind them. The
 * ones unused for longest go first when blocks are short.
 *
 * <p>A kept block is found by its tokens, compared one by one, by what computed them (the content
 * hash of the adapter's revision) and by the block before it: there is nothing that could be taken
 * for another. For the engine's thread alone.
 */
final class BlockManager implements KvBlockAllocator {

    /** What is before the first block of a sequence. */
    static final long ROOT = 0;

    private final int count;
    private final boolean caching;
    private final int[] users;
    private final Prefix[] prefixes;
    private final ArrayDeque<Integer> free = new ArrayDeque<>();

    /** Kept blocks that nobody uses, the one unused for longest first. */
    private final LinkedHashSet<Integer> unused = new LinkedHashSet<>();

    private final Map<Key, Prefix> kept = new HashMap<>();
    private long lastPrefix = ROOT;
    private long evictions;

    /**
     * Constructs a new {@code BlockManager} instance.
     *
     * @param count the number of the pool's blocks
     * @param caching whether full blocks are kept
     */
    BlockManager(int count, boolean caching) {
        this.count = count;
        this.caching = caching;
        users = new int[count];
        prefixes = new Prefix[count];
        for (int block = 0; block < count; ++block) {
            free.add(block);
        }
    }

    /**
     * What a kept block holds.
     *
     * @param before the prefix that the block follows, {@link #ROOT} for none
     * @param computedBy what computed the block
     * @param tokens its tokens
     */
    private record Key(long before, String computedBy, int[] tokens) {

        @Override
        public boolean equals(Object other) {
            return other instanceof Key key
                    && before == key.before
                    && computedBy.equals(key.computedBy)
                    && Arrays.equals(tokens, key.tokens);
        }

        @Override
        public int hashCode() {
            return (Long.hashCode(before) * 31 + computedBy.hashCode()) * 31
                    + Arrays.hashCode(tokens);
        }
    }

    /** A kept block. Its number is never another's again. */
    private record Prefix(long id, Key key, int block) {}

    /** Returns the number of blocks that can be had. */
    int available() {
        return free.size() + unused.size();
    }

    /** Returns the number of blocks that sequences use. */
    int used() {
        return count - available();
    }

    /** Returns the number of blocks that are kept and that nobody uses. */
    int cached() {
        return unused.size();
    }

    /** Returns the number of kept blocks that were given up for others. */
    long evictions() {
        return evictions;
    }

    /** {@inheritDoc} */
    @Override
    public int allocate() {
        Integer block = free.poll();
        if (block == null) {
            if (unused.isEmpty()) {
                throw new LoraMemoryException("All " + count + " KV blocks are in use");
            }
            block = unused.iterator().next();
            unused.remove(block);
            kept.remove(prefixes[block].key());
            prefixes[block] = null;
            ++evictions;
        }
        users[block] = 1;
        return block;
    }

    /** {@inheritDoc} */
    @Override
    public void release(int block) {
        if (--users[block] == 0) {
            if (prefixes[block] == null) {
                free.add(block);
            } else {
                unused.add(block);
            }
        }
    }

    /**
     * Finds the kept blocks that a sequence begins with, and takes them for it; where none are
     * kept, those of another answer to the same request.
     *
     * @param sequence the sequence
     * @return the blocks; fewer than all of its tokens, since the last has to be run, and those
     *     whose rows are asked for
     */
    int[] adopt(Sequence sequence) {
        if (!caching) {
            return share(sequence);
        }
        List<Integer> found = new ArrayList<>();
        long before = ROOT;
        int blocks = sequence.adoptable() / KvPool.BLOCK_POSITIONS;
        for (int i = 0; i < blocks; ++i) {
            Prefix prefix = kept.get(key(sequence, i, before));
            if (prefix == null) {
                break;
            }
            if (users[prefix.block()]++ == 0) {
                unused.remove(prefix.block());
            }
            found.add(prefix.block());
            before = prefix.id();
        }
        sequence.setKept(found.size(), before);
        return found.stream().mapToInt(Integer::intValue).toArray();
    }

    private int[] share(Sequence sequence) {
        Sequence from = null;
        int tokens = 0;
        for (Sequence other : sequence.group().members()) {
            if (other != sequence && other.cache() != null && other.computed() > tokens) {
                from = other;
                tokens = other.computed();
            }
        }
        int common = Math.min(sequence.promptLength(), sequence.length() - 1);
        int[] shared = new int[Math.min(tokens, common) / KvPool.BLOCK_POSITIONS];
        for (int i = 0; i < shared.length; ++i) {
            shared[i] = from.cache().block(i);
            ++users[shared[i]];
        }
        return shared;
    }

    /** Keeps the blocks of a sequence that have become full. */
    void keep(Sequence sequence) {
        if (!caching || sequence.virtualTokens() > 0) {
            return;
        }
        long before = sequence.lastKept();
        int full = sequence.computed() / KvPool.BLOCK_POSITIONS;
        for (int i = sequence.keptBlocks(); i < full; ++i) {
            Key key = key(sequence, i, before);
            Prefix prefix = kept.get(key);
            if (prefix == null) {
                int block = sequence.cache().block(i);
                prefix = new Prefix(++lastPrefix, key, block);
                kept.put(key, prefix);
                prefixes[block] = prefix;
            }
            before = prefix.id();
        }
        sequence.setKept(full, before);
    }

    private static Key key(Sequence sequence, int index, long before) {
        int from = index * KvPool.BLOCK_POSITIONS;
        int to = from + KvPool.BLOCK_POSITIONS;
        // what comes before an adapter acts is the base model's, whoever asks
        String by;
        if (sequence.activeFrom() >= to) {
            by = Sequence.BASE;
        } else if (sequence.activeFrom() > from) {
            by = sequence.revision() + '@' + (sequence.activeFrom() - from);
        } else {
            by = sequence.revision();
        }
        return new Key(before, by, sequence.tokens(from, to));
    }
}
