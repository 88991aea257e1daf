/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import java.util.function.LongSupplier;

/** Counts and times the steps of one batch. */
final class StatisticsRecorder {

    private final int rows;
    private final LongSupplier ticker;
    private long stepStart;
    private int finishedRows;
    private long prefillTokens;
    private long prefillNanos;
    private long generatedTokens;
    private long decodeTokens;
    private long decodeNanos;

    /**
     * Constructs a new {@code StatisticsRecorder} instance.
     *
     * @param rows the number of requests
     * @param ticker the clock, in nanoseconds
     */
    StatisticsRecorder(int rows, LongSupplier ticker) {
        this.rows = rows;
        this.ticker = ticker;
    }

    void stepStarts() {
        stepStart = ticker.getAsLong();
    }

    /** Counts a step that ran whole prompts and made one token for each. */
    void prefillEnds(long promptTokens, int newTokens, int finished) {
        prefillNanos += ticker.getAsLong() - stepStart;
        prefillTokens += promptTokens;
        generatedTokens += newTokens;
        finishedRows += finished;
    }

    /** Counts a step that made the next token of running rows. */
    void decodeEnds(int newTokens, int finished) {
        decodeNanos += ticker.getAsLong() - stepStart;
        decodeTokens += newTokens;
        generatedTokens += newTokens;
        finishedRows += finished;
    }

    GenerationStatistics snapshot() {
        return new GenerationStatistics(
                rows,
                finishedRows,
                prefillTokens,
                prefillNanos,
                generatedTokens,
                decodeTokens,
                decodeNanos);
    }
}
