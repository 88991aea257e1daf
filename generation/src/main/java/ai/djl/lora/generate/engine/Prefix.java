/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.util.Arrays;

/** The tokens of a full block that is kept, and where the block is. For the engine's thread. */
final class Prefix {

    /** The place of a block that is not in the pool. */
    static final int NOWHERE = -1;

    private final long id;
    private final Key key;
    private int block;

    /**
     * Constructs a new {@code Prefix} instance.
     *
     * @param id a number that is never another's
     * @param key what the block holds
     * @param block the block's index in the pool
     */
    Prefix(long id, Key key, int block) {
        this.id = id;
        this.key = key;
        this.block = block;
    }

    /**
     * What a kept block holds.
     *
     * @param before the prefix that the block follows, {@link BlockManager#ROOT} for none
     * @param computedBy what computed the block
     * @param tokens its tokens
     */
    record Key(long before, String computedBy, int[] tokens) {

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

    long id() {
        return id;
    }

    Key key() {
        return key;
    }

    /** Returns the block's index in the pool, {@link #NOWHERE} where only a copy of it is left. */
    int block() {
        return block;
    }

    boolean isInPool() {
        return block != NOWHERE;
    }

    void moveTo(int place) {
        block = place;
    }
}
