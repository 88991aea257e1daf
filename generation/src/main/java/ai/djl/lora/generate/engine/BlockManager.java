/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.generate.engine.Prefix.Key;
import ai.djl.lora.model.KvBlockAllocator;
import ai.djl.lora.model.KvPool;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * Who has which block of a pool: blocks are counted by those who use them, and full ones are kept
 * when nobody does, so that a sequence that begins with the same tokens can go on behind them. The
 * ones unused for longest go first when blocks are short; where there is a place for copies, each
 * leaves one there, as does a block that has not been used for a while.
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
    private final ColdBlocks cold;
    private final long coldAfter;
    private final LongSupplier ticker;
    private final int[] users;
    private final long[] unusedSince;
    private final Prefix[] prefixes;
    private final ArrayDeque<Integer> free = new ArrayDeque<>();

    /** Kept blocks that nobody uses, the one unused for longest first. */
    private final LinkedHashSet<Integer> unused = new LinkedHashSet<>();

    private final Map<Key, Prefix> kept = new HashMap<>();
    private long lastPrefix = ROOT;
    private long evictions;

    /**
     * Constructs a new {@code BlockManager} instance that keeps no copies.
     *
     * @param count the number of the pool's blocks
     * @param caching whether full blocks are kept
     */
    BlockManager(int count, boolean caching) {
        this(count, caching, null, Long.MAX_VALUE, System::nanoTime);
    }

    /**
     * Constructs a new {@code BlockManager} instance.
     *
     * @param count the number of the pool's blocks
     * @param caching whether full blocks are kept
     * @param cold where copies of kept blocks go, null for nowhere
     * @param coldAfter how long a block is unused before it goes there, in nanoseconds
     * @param ticker the time, in nanoseconds
     */
    BlockManager(int count, boolean caching, ColdBlocks cold, long coldAfter, LongSupplier ticker) {
        this.count = count;
        this.caching = caching;
        this.cold = cold;
        this.coldAfter = coldAfter;
        this.ticker = ticker;
        unusedSince = new long[count];
        users = new int[count];
        prefixes = new Prefix[count];
        for (int block = 0; block < count; ++block) {
            free.add(block);
        }
    }

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
            vacate(block);
        }
        users[block] = 1;
        return block;
    }

    /* Takes a kept block that nobody uses out of the pool. */
    private void vacate(int block) {
        Prefix prefix = prefixes[block];
        unused.remove(block);
        prefixes[block] = null;
        prefix.moveTo(Prefix.NOWHERE);
        if (cold == null || !cold.put(prefix, block, this::lost)) {
            lost(prefix);
        }
    }

    /* A copy has gone, or could not be made. */
    private void lost(Prefix prefix) {
        if (!prefix.isInPool()) {
            kept.remove(prefix.key());
            ++evictions;
        }
    }

    /** {@inheritDoc} */
    @Override
    public void release(int block) {
        if (--users[block] == 0) {
            if (prefixes[block] == null) {
                free.add(block);
            } else {
                unused.add(block);
                unusedSince[block] = ticker.getAsLong();
            }
        }
    }

    /**
     * Puts the block away that has been unused for longest, if that is long enough.
     *
     * @param now the time
     * @return whether there was such a block
     */
    boolean putAway(long now) {
        if (nanosToNext(now) > 0) {
            return false;
        }
        int block = unused.iterator().next();
        vacate(block);
        free.add(block);
        return true;
    }

    /** Returns when there is a block to put away, at most 0 if there is, the longest if never. */
    long nanosToNext(long now) {
        if (cold == null || unused.isEmpty()) {
            return Long.MAX_VALUE;
        }
        return coldAfter - (now - unusedSince[unused.iterator().next()]);
    }

    /** Returns how many of the blocks that a sequence begins with are not in the pool. */
    int toRestore(Sequence sequence) {
        if (cold == null || cold.size() == 0) {
            return 0;
        }
        int found = 0;
        for (Prefix prefix : known(sequence)) {
            found += prefix.isInPool() ? 0 : 1;
        }
        return found;
    }

    /* The kept blocks that a sequence begins with; the last token has to be run. */
    private List<Prefix> known(Sequence sequence) {
        List<Prefix> found = new ArrayList<>();
        long before = ROOT;
        int blocks = sequence.adoptable() / KvPool.BLOCK_POSITIONS;
        for (int i = 0; i < blocks; ++i) {
            Prefix prefix = kept.get(key(sequence, i, before));
            if (prefix == null) {
                break;
            }
            found.add(prefix);
            before = prefix.id();
        }
        return found;
    }

    /**
     * Finds the kept blocks that a sequence begins with, and takes them for it; where none are
     * kept, those of another answer to the same request.
     *
     * @param sequence the sequence
     * @param restores how many of them may be restored to the pool
     * @return the blocks; fewer than all of its tokens, since the last has to be run, and those
     *     whose rows are asked for
     */
    int[] adopt(Sequence sequence, int restores) {
        if (!caching) {
            return share(sequence);
        }
        List<Prefix> found = known(sequence);
        // what is in the pool already, and the copies, must not give way to what is restored
        int left = restores;
        int count = 0;
        while (count < found.size() && (found.get(count).isInPool() || left > 0)) {
            Prefix prefix = found.get(count++);
            if (!prefix.isInPool()) {
                --left;
                cold.touch(prefix);
            } else if (users[prefix.block()]++ == 0) {
                unused.remove(prefix.block());
            }
        }
        int whole = 0;
        while (whole < count && (found.get(whole).isInPool() || restore(found.get(whole)))) {
            ++whole;
        }
        for (int i = count - 1; i > whole; --i) {
            if (found.get(i).isInPool()) {
                release(found.get(i).block());
            }
        }
        sequence.setKept(whole, whole == 0 ? ROOT : found.get(whole - 1).id());
        return found.subList(0, whole).stream().mapToInt(Prefix::block).toArray();
    }

    /* Nobody finds the block before it is whole. */
    private boolean restore(Prefix prefix) {
        if (available() == 0) {
            return false;
        }
        int block = allocate();
        if (!cold.restore(prefix, block)) {
            release(block);
            kept.remove(prefix.key());
            return false;
        }
        prefix.moveTo(block);
        prefixes[block] = prefix;
        return true;
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
            } else if (!prefix.isInPool()) {
                // run again, which is as good as the copy or better
                cold.remove(prefix);
                prefix.moveTo(sequence.cache().block(i));
                prefixes[prefix.block()] = prefix;
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
