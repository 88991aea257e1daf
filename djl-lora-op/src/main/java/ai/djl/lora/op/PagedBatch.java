/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.stream.LongStream;

/**
 * Which rows of a step belong to which sequence, and in which pages the sequences' keys and values
 * lie. Made once for a step and the same for all layers.
 */
public final class PagedBatch {

    private final long[] rowStarts;
    private final long[] lengths;
    private final long[] pageStarts;
    private final long[] pageTable;
    private final long[] places;
    private final NDArray rowStartsArray;
    private final NDArray lengthsArray;
    private final NDArray pageStartsArray;
    private final NDArray pageTableArray;
    private final NDArray placesArray;

    private PagedBatch(NDManager manager, Builder builder) {
        rowStarts = builder.rowStarts.build().toArray();
        lengths = builder.lengths.build().toArray();
        pageStarts = builder.pageStarts.build().toArray();
        pageTable = builder.pageTable.build().toArray();
        places = builder.places.build().toArray();
        rowStartsArray = manager.create(rowStarts);
        lengthsArray = manager.create(lengths);
        pageStartsArray = manager.create(pageStarts);
        pageTableArray = manager.create(pageTable);
        placesArray = manager.create(places);
    }

    /**
     * Returns a builder of batches.
     *
     * @param positions the positions of a page
     * @return a new builder
     */
    public static Builder builder(int positions) {
        return new Builder(positions);
    }

    /**
     * Returns the number of sequences.
     *
     * @return the number of sequences
     */
    public int sequences() {
        return lengths.length;
    }

    /** Returns the first row of a sequence; for the number of sequences, the number of rows. */
    long rowStart(int sequence) {
        return rowStarts[sequence];
    }

    /** Returns the number of positions of a sequence, its rows the last of them. */
    long length(int sequence) {
        return lengths[sequence];
    }

    /** Returns the pages of a sequence. */
    long[] pages(int sequence) {
        return LongStream.range(pageStarts[sequence], pageStarts[sequence + 1])
                .map(i -> pageTable[(int) i])
                .toArray();
    }

    /** Returns the place of a row: its page times a page's positions, and the position in it. */
    long place(int row) {
        return places[row];
    }

    NDArray rowStarts() {
        return rowStartsArray;
    }

    NDArray lengths() {
        return lengthsArray;
    }

    NDArray pageStarts() {
        return pageStartsArray;
    }

    NDArray pageTable() {
        return pageTableArray;
    }

    NDArray places() {
        return placesArray;
    }

    /** A builder of {@link PagedBatch}es. */
    public static final class Builder {

        private final int positions;
        private final LongStream.Builder rowStarts = LongStream.builder().add(0);
        private final LongStream.Builder lengths = LongStream.builder();
        private final LongStream.Builder pageStarts = LongStream.builder().add(0);
        private final LongStream.Builder pageTable = LongStream.builder();
        private final LongStream.Builder places = LongStream.builder();
        private long rows;
        private long pages;

        private Builder(int positions) {
            this.positions = positions;
        }

        /**
         * Adds a sequence, whose rows follow those of the sequence before.
         *
         * @param past the positions before its rows
         * @param count its rows, each a position more
         * @param table its pages in their order, with room for all positions
         * @return this builder
         */
        public Builder addSequence(int past, int count, int... table) {
            int needed = (past + count + positions - 1) / positions;
            if (past < 0 || count < 0 || table.length < needed) {
                throw new IllegalArgumentException(
                        past
                                + " and "
                                + count
                                + " positions take "
                                + needed
                                + " pages; found "
                                + table.length);
            }
            rows += count;
            pages += needed;
            rowStarts.add(rows);
            lengths.add((long) past + count);
            pageStarts.add(pages);
            for (int i = 0; i < needed; ++i) {
                pageTable.add(table[i]);
            }
            for (int i = past; i < past + count; ++i) {
                places.add((long) table[i / positions] * positions + i % positions);
            }
            return this;
        }

        /**
         * Builds the batch.
         *
         * @param manager the manager of its arrays
         * @return the batch
         */
        public PagedBatch build(NDManager manager) {
            return new PagedBatch(manager, this);
        }
    }
}
