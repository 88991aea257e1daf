/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.MachineLimit;
import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.op.BatchPlan;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * What a call must move and compute, and what the machine can do, measured just before each
 * iteration: a shared machine's speed drifts.
 */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.EVENTS)
public class Limit {

    private static final int MATMULS = 5;

    private double bytes;
    private double operations;
    private double readGbPerSecond;
    private double gflopsPerSecond;

    /**
     * Measures the machine.
     *
     * @param work the work whose limit is wanted
     */
    @Setup(Level.Iteration)
    public void measure(Work work) {
        OperatorCase shape = work.operatorCase();
        BatchPlan plan = shape.plan();
        bytes = shape.bytes(plan, work.candidate.type());
        operations = shape.operations(plan);
        MachineLimit machine = work.machine();
        machine.multiply();
        long start = System.nanoTime();
        for (int i = 0; i < MATMULS; ++i) {
            machine.multiply();
        }
        long multiplied = System.nanoTime();
        gflopsPerSecond = MATMULS * (double) machine.operations() / (multiplied - start);
        machine.read();
        readGbPerSecond = (double) machine.bytes() / (System.nanoTime() - multiplied);
    }

    /**
     * Returns what must move: the weights in use once, x once, y there and back.
     *
     * @return the size in bytes
     */
    public double bytes() {
        return bytes;
    }

    /**
     * Returns what must be computed.
     *
     * @return the number of floating-point operations
     */
    public double operations() {
        return operations;
    }

    /**
     * Returns the machine's read bandwidth.
     *
     * @return the bandwidth in GB/s
     */
    public double readGbPerSecond() {
        return readGbPerSecond;
    }

    /**
     * Returns the machine's matmul rate in the candidate's type.
     *
     * @return the rate in GFLOP/s
     */
    public double gflopsPerSecond() {
        return gflopsPerSecond;
    }
}
