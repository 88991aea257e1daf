/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;

/** Lets an engine's steps end one by one. */
final class Gate implements EngineRecorder {

    private final Semaphore permits = new Semaphore(0);

    /** Lets so many more steps end. */
    void release(int steps) {
        permits.release(steps);
    }

    /** Lets all steps end. */
    void open() {
        permits.release(1_000_000);
    }

    @Override
    public void step(EngineStatistics statistics, long nanos) {
        try {
            Assert.assertTrue(permits.tryAcquire(60, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
