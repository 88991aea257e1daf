/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.PrintWriter;

/** Tells on stderr what a command is busy with, where somebody watches. */
public final class Progress implements AutoCloseable {

    /** The property by which the launcher says that stderr is a terminal. */
    static final String PROPERTY = "ai.djl.lora.progress";

    private static final long INTERVAL_NANOS = 100_000_000;
    // Back to the line's start, and clear what is on it.
    private static final String CLEAR = "\r\033[K";

    private final PrintWriter err;
    private long last;

    /**
     * Constructs a new {@code Progress} instance.
     *
     * @param err where messages go
     */
    public Progress(PrintWriter err) {
        this.err = Boolean.getBoolean(PROPERTY) ? err : null;
    }

    /**
     * Tells of a new step of work.
     *
     * @param format a format, as {@link String#format} takes it
     * @param args its arguments
     */
    public void step(String format, Object... args) {
        if (err != null) {
            err.print(CLEAR + String.format(format, args));
            err.flush();
            last = System.nanoTime();
        }
    }

    /**
     * Tells how far a step has come, at most ten times a second.
     *
     * @param format a format, as {@link String#format} takes it
     * @param args its arguments
     */
    public void update(String format, Object... args) {
        if (err != null && System.nanoTime() - last >= INTERVAL_NANOS) {
            step(format, args);
        }
    }

    /** Clears the line, so that results can be printed. */
    public void clear() {
        if (err != null) {
            err.print(CLEAR);
            err.flush();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        clear();
    }
}
