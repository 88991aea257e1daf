/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/**
 * Is told what happens in an engine, on its thread; for metrics. Every method does nothing unless
 * it is overridden. What one throws is logged and has no other effect.
 */
public interface EngineRecorder {

    /**
     * A request has come to its turn to wait.
     *
     * @param adapter its adapter, empty for the base model
     */
    default void arrived(String adapter) {}

    /**
     * A request that had come is there no more, with all of its answers or without; told beside
     * what became of it.
     *
     * @param adapter its adapter, empty for the base model
     * @param scheduled whether it had been scheduled
     */
    default void ended(String adapter, boolean scheduled) {}

    /**
     * A request was scheduled for the first time.
     *
     * @param adapter its adapter, empty for the base model
     * @param queuedNanos how long it had waited
     */
    default void scheduled(String adapter, long queuedNanos) {}

    /**
     * A request has its first token, that of its first answer.
     *
     * @param adapter its adapter, empty for the base model
     * @param nanos how long that took since it came
     */
    default void firstToken(String adapter, long nanos) {}

    /**
     * A request has ended with an answer; told once for each of several answers.
     *
     * @param adapter its adapter, empty for the base model
     * @param promptTokens the tokens of its prompt, for each answer anew
     * @param cachedTokens how many of them lay in memory already
     * @param newTokens the tokens of its answer
     * @param nanos how long it took since it came
     */
    default void finished(
            String adapter, int promptTokens, int cachedTokens, int newTokens, long nanos) {}

    /**
     * A request has ended without all of its answers.
     *
     * @param adapter its adapter, empty for the base model
     * @param reason why
     */
    default void failed(String adapter, Throwable reason) {}

    /**
     * A step has ended.
     *
     * @param statistics how the engine stands
     * @param nanos how long the step took
     */
    default void step(EngineStatistics statistics, long nanos) {}
}
