/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/** What an engine's thread has counted since it started; others see it as statistics. */
final class StepCounters {

    long promptTokens;
    long newTokens;
    long draftedTokens;
    long metTokens;

    /** Time in the model. */
    long modelNanos;

    /** Time in steps, that in the model too. */
    long stepNanos;

    /** Requests that have ended and whose users have not been told. */
    int endedRequests;
}
