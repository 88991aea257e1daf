/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.server.http.HttpFailure;
import java.time.Duration;

/** How much one adapter's files may still have together, and how long they may still take. */
final class FetchBudget {

    private final long allowed;
    private final Duration time;
    private final int files;
    private final long deadline;
    private long bytes;
    private int begun;

    FetchBudget(SourceOptions options) {
        allowed = options.maxBytes();
        time = options.fetchTime();
        files = options.maxFiles();
        deadline = System.nanoTime() + time.toNanos();
    }

    /** Takes a file. */
    synchronized void takeFile() {
        if (++begun > files) {
            throw new HttpFailure(
                    413,
                    "source_too_large",
                    "the source has more than the allowed " + files + " files");
        }
    }

    /** Takes bytes. */
    synchronized void take(long count) {
        bytes += count;
        if (bytes > allowed) {
            throw new HttpFailure(
                    413,
                    "source_too_large",
                    "the source has more than the allowed " + allowed + " bytes");
        }
    }

    /** Returns how long it may still take. */
    Duration left() {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
            throw late();
        }
        return Duration.ofNanos(left);
    }

    /** Returns the failure of what took too long. */
    HttpFailure late() {
        return new HttpFailure(
                504,
                "source_timeout",
                "the source was not there within " + time.toMillis() + " ms");
    }
}
