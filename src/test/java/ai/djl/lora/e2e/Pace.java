/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.util.concurrent.TimeUnit;

/** Turns at a fixed rate: one that takes long does not put off those that follow. */
final class Pace {

    private final long period;
    private final long end;
    private long next = System.nanoTime();

    Pace(long millis, long end) {
        this.period = TimeUnit.MILLISECONDS.toNanos(millis);
        this.end = end;
    }

    /** Waits for the next turn, and returns whether there is one before the end. */
    boolean await() throws InterruptedException {
        if (next >= end) {
            return false;
        }
        TimeUnit.NANOSECONDS.sleep(next - System.nanoTime());
        next += period;
        return System.nanoTime() < end;
    }
}
