/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.GatherBmmCandidate;
import ai.djl.lora.cli.bench.LoopCandidate;
import ai.djl.lora.cli.bench.OperatorCandidate;
import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.cli.bench.OperatorData;
import ai.djl.lora.cli.bench.TableCandidate;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.Locale;

/** What is measured: the operator, and the ways to do the same without it. */
public enum Candidate {
    /** The operator of the {@code cpu} backend in bfloat16. */
    CPU(ElementType.BFLOAT16),
    /** Two matmuls of ATen's for each adapter, in bfloat16. */
    LOOP(ElementType.BFLOAT16),
    /** ATen's gather of each row's weights and batched matmul, in bfloat16. */
    GATHER_BMM(ElementType.BFLOAT16),
    /** The operator of the {@code cpu} backend in float32. */
    CPU_FLOAT32(ElementType.FLOAT32),
    /** The {@code pytorch} backend, which computes in float32. */
    PYTORCH(ElementType.FLOAT32);

    private static final int TRIES = 3;

    private final ElementType type;

    Candidate(ElementType type) {
        this.type = type;
    }

    /**
     * Returns the type of weights and activations.
     *
     * @return the type
     */
    public ElementType type() {
        return type;
    }

    /**
     * Returns the name in reports.
     *
     * @return the name, such as {@code gather_bmm}
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Puts a case into memory.
     *
     * @param manager the manager to make arrays in
     * @param data the numbers, of this candidate's type
     * @param shape the case
     * @param modules the number of modules to rotate through
     * @return the candidate, owned by the caller
     * @throws ai.djl.lora.LoraBackendException if the native library cannot be used here
     */
    public OperatorCandidate open(
            NDManager manager, OperatorData data, OperatorCase shape, int modules) {
        LoraBackend backend = LoraBackends.choose(this == PYTORCH ? "pytorch" : "cpu");
        return switch (this) {
            case CPU, CPU_FLOAT32 -> new TableCandidate(backend, manager, data, shape, modules);
            case LOOP ->
                    new LoopCandidate(backend.getTensorOps(type), manager, data, shape, modules);
            case GATHER_BMM ->
                    fasterSide(
                            new GatherBmmCandidate(
                                    backend.getTensorOps(type), manager, data, shape, modules));
            case PYTORCH ->
                    new ScopedCandidate(
                            manager, new TableCandidate(backend, manager, data, shape, modules));
        };
    }

    /* Which side of x the weights are on makes a difference of up to several times. */
    private static GatherBmmCandidate fasterSide(GatherBmmCandidate bmm) {
        long[] nanos = new long[2];
        for (int side = 0; side < 2; ++side) {
            nanos[side] = Long.MAX_VALUE;
            for (int i = 0; i < TRIES; ++i) {
                long start = System.nanoTime();
                bmm.apply(i % bmm.modules());
                nanos[side] = Math.min(nanos[side], System.nanoTime() - start);
            }
            bmm.transpose();
        }
        if (nanos[1] < nanos[0]) {
            bmm.transpose();
        }
        return bmm;
    }
}
