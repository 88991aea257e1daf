/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/**
 * How an engine stands, as of the end of its last step; or several, all counted together.
 *
 * @param waiting the requests that wait, for their turn or their adapter
 * @param waitingForAdapters those of them whose adapter is on its way
 * @param running the requests that run
 * @param steps the steps since the engine started
 * @param promptTokens the prompt tokens that were run, those of preempted requests again
 * @param newTokens the tokens that were generated
 * @param cachedTokens the prompt tokens that lay in memory already
 * @param draftedTokens the tokens that were drafted
 * @param metTokens those of them that were right
 * @param preemptions how often a request lost its place and was run again
 * @param kvBlocks the blocks for keys and values
 * @param usedKvBlocks those that requests use
 * @param cachedKvBlocks those that are kept and that nobody uses
 * @param kvBlockBytes the bytes that a block takes in the pool
 * @param compressedKvBlocks the blocks of which there is a compressed copy
 * @param compressedKvBytes the bytes that those take
 * @param compressions the blocks that were compressed since the engine started
 * @param restoredKvBlocks the blocks that were restored for a request
 * @param modelNanos the time in the model, since the engine started
 * @param stepNanos the time in steps, that in the model too
 */
public record EngineStatistics(
        int waiting,
        int waitingForAdapters,
        int running,
        long steps,
        long promptTokens,
        long newTokens,
        long cachedTokens,
        long draftedTokens,
        long metTokens,
        long preemptions,
        int kvBlocks,
        int usedKvBlocks,
        int cachedKvBlocks,
        long kvBlockBytes,
        int compressedKvBlocks,
        long compressedKvBytes,
        long compressions,
        long restoredKvBlocks,
        long modelNanos,
        long stepNanos) {

    /**
     * Counts another engine of the same model in.
     *
     * @param other how that one stands
     * @return how both stand together
     */
    public EngineStatistics plus(EngineStatistics other) {
        return new EngineStatistics(
                waiting + other.waiting,
                waitingForAdapters + other.waitingForAdapters,
                running + other.running,
                steps + other.steps,
                promptTokens + other.promptTokens,
                newTokens + other.newTokens,
                cachedTokens + other.cachedTokens,
                draftedTokens + other.draftedTokens,
                metTokens + other.metTokens,
                preemptions + other.preemptions,
                kvBlocks + other.kvBlocks,
                usedKvBlocks + other.usedKvBlocks,
                cachedKvBlocks + other.cachedKvBlocks,
                kvBlockBytes,
                compressedKvBlocks + other.compressedKvBlocks,
                compressedKvBytes + other.compressedKvBytes,
                compressions + other.compressions,
                restoredKvBlocks + other.restoredKvBlocks,
                modelNanos + other.modelNanos,
                stepNanos + other.stepNanos);
    }
}
