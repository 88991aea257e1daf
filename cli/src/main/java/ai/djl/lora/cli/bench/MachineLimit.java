/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.jni.LoraNative;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.core.Linear;
import ai.djl.pytorch.engine.PtNDArray;

/** The work by which the machine's own read bandwidth and matmul rate are measured. */
public final class MachineLimit implements AutoCloseable {

    private static final int ROWS = 512;
    private static final int WIDTH = 2048;

    private final NDManager manager;
    private final long bytes;
    private final NDArray pool;
    private final NDArray x;
    private final NDArray w;

    /**
     * Constructs a new {@code MachineLimit} instance.
     *
     * @param parent the manager to make arrays in
     * @param data the numbers, in the type whose rate is to be measured
     * @param bytes how much to read, more than the last-level cache holds
     */
    public MachineLimit(NDManager parent, OperatorData data, long bytes) {
        manager = parent.newSubManager();
        long rows = Math.max(1, bytes / WIDTH / data.type().bytes());
        this.bytes = rows * WIDTH * data.type().bytes();
        pool = data.tensor(manager, rows, WIDTH);
        x = data.tensor(manager, ROWS, WIDTH);
        w = data.tensor(manager, WIDTH, WIDTH);
    }

    /** Returns what {@link #read} reads, as a matrix of 2048 columns. */
    NDArray pool() {
        return pool;
    }

    /**
     * Returns what {@link #read} reads.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return bytes;
    }

    /**
     * Returns what {@link #multiply} computes.
     *
     * @return the number of floating-point operations
     */
    public long operations() {
        return 2L * ROWS * WIDTH * WIDTH;
    }

    /** Reads the memory once, on all threads. */
    public void read() {
        LoraNative.readAll(((PtNDArray) pool).getHandle());
    }

    /** Multiplies 512 rows by a weight of 2048 x 2048, through ATen. */
    public void multiply() {
        Linear.linear(x, w).close();
    }

    /**
     * Returns the least time that work can take on this machine.
     *
     * @param bytes what must move
     * @param operations what must be computed
     * @param bytesPerSecond the measured read bandwidth
     * @param operationsPerSecond the measured matmul rate
     * @return the time in seconds
     */
    public static double seconds(
            long bytes, long operations, double bytesPerSecond, double operationsPerSecond) {
        return Math.max(bytes / bytesPerSecond, operations / operationsPerSecond);
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
