/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.core.Linear;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Measures the operator in bfloat16 through the same calls that a model makes, against the
 * machine's own bandwidth and matmul rate and against the ways in which ATen alone would do it.
 *
 * <p>Weights are rotated: each call takes another module, over more memory than the last-level
 * cache holds, as a model's layers do.
 */
final class OperatorBench implements AutoCloseable {

    private static final ElementType TYPE = ElementType.BFLOAT16;
    private static final int HIDDEN = 2048;
    private static final int RANK = 16;
    private static final int DECODE_ROWS = 32;
    private static final int PREFILL_ROWS = 512;
    private static final int GROUPED = 48;

    private final NDManager manager = NDManager.newBaseManager(null, "PyTorch");
    private final OperatorData data = new OperatorData(TYPE);
    private final LoraBackend backend;
    private final TensorOps ops;
    private final long rotation;
    private final int rounds;
    private final MachineLimit machine;
    private final Map<String, Double> headlines = new LinkedHashMap<>();
    private final List<OperatorRow> rows = new ArrayList<>();
    private double readGbPerSecond;
    private double gflopsPerSecond;

    /**
     * Constructs a new {@code OperatorBench} instance.
     *
     * @param backend a backend that computes in bfloat16
     * @param rotation the bytes of weights to rotate through
     * @param rounds the counted rounds of each comparison
     */
    OperatorBench(LoraBackend backend, long rotation, int rounds) {
        this.backend = backend;
        this.ops = backend.getTensorOps(TYPE);
        this.rotation = rotation;
        this.rounds = rounds;
        this.machine = new MachineLimit(manager, data, rotation);
    }

    /** Returns the ratios that were measured, by name. */
    Map<String, Double> headlines() {
        return headlines;
    }

    /** Returns the cases that were measured. */
    List<OperatorRow> rows() {
        return rows;
    }

    /** Measures the cases that matter most. */
    void runHeadlines() {
        measureMachine();
        decode();
        prefill();
        baseRow();
        baseOnly();
        grouped();
    }

    /** Measures every shape, rank, number of rows and popularity. */
    void runSweep() {
        int[][] shapes = {
            {896, 896},
            {896, 4864},
            {4864, 896},
            {2048, 2048},
            {2048, 5632},
            {4096, 4096},
            {4096, 11008}
        };
        for (int[] shape : shapes) {
            sweep("shape", shape[0], shape[1], RANK, 32, 32, Popularity.DISTINCT);
            sweep("shape", shape[0], shape[1], RANK, 512, 4, Popularity.DISTINCT);
        }
        for (int rank : new int[] {4, 8, 32, 64, 128, 256}) {
            sweep("rank", HIDDEN, HIDDEN, rank, 16, 16, Popularity.DISTINCT);
        }
        for (int tokens : new int[] {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}) {
            sweep("tokens", HIDDEN, HIDDEN, RANK, tokens, tokens, Popularity.DISTINCT);
            sweep("tokens", HIDDEN, HIDDEN, RANK, tokens, 1, Popularity.IDENTICAL);
        }
        for (Popularity popularity : Popularity.values()) {
            sweep("popularity", HIDDEN, HIDDEN, RANK, 64, 64, popularity);
        }
    }

    private void measureMachine() {
        Interleaved times =
                new Interleaved()
                        .add("read", machine::read)
                        .add("matmul", machine::multiply)
                        .run(rounds);
        readGbPerSecond = machine.bytes() / times.median("read") * 1e-9;
        gflopsPerSecond = machine.operations() / times.median("matmul") * 1e-9;
    }

    private void decode() {
        OperatorCase decode = square("decode", DECODE_ROWS, DECODE_ROWS);
        int modules = decode.modules(rotation, TYPE);
        try (TableCandidate sgmv = new TableCandidate(backend, manager, data, decode, modules);
                LoopCandidate loop = new LoopCandidate(ops, manager, data, decode, modules);
                GatherBmmCandidate bmm =
                        new GatherBmmCandidate(ops, manager, data, decode, modules);
                GatherBmmCandidate transposed =
                        new GatherBmmCandidate(ops, manager, data, decode, modules)) {
            transposed.transpose();
            long read = decode.bytes(decode.plan(), TYPE) * modules;
            Interleaved times =
                    new Interleaved()
                            .add("read", machine::read)
                            .add("sgmv", sgmv::applyAll)
                            .add("loop", loop::applyAll)
                            .add("bmm", bmm::applyAll)
                            .add("bmm transposed", transposed::applyAll)
                            .run(rounds);
            double share = (double) read / machine.bytes();
            headlines.put("decode_share_of_bandwidth", share * times.ratio("read", "sgmv"));
            headlines.put("speedup_over_loop", times.ratio("loop", "sgmv"));
            headlines.put(
                    "speedup_over_gather_bmm",
                    Math.min(times.ratio("bmm", "sgmv"), times.ratio("bmm transposed", "sgmv")));
            add(
                    decode,
                    times.median("sgmv") / modules,
                    share * times.median("read") / modules,
                    times.ratio("loop", "sgmv"));
        }
    }

    private void prefill() {
        OperatorCase prefill = square("prefill", PREFILL_ROWS, 4);
        int modules = 16;
        try (TableCandidate sgmv = new TableCandidate(backend, manager, data, prefill, modules);
                LoopCandidate loop = new LoopCandidate(ops, manager, data, prefill, modules)) {
            Interleaved times =
                    new Interleaved()
                            .add("sgmv", sgmv::applyAll)
                            .add("loop", loop::applyAll)
                            .run(2 * rounds);
            headlines.put("prefill_speedup_over_aten", times.ratio("loop", "sgmv"));
            add(
                    prefill,
                    times.median("sgmv") / modules,
                    limit(prefill),
                    times.ratio("loop", "sgmv"));
        }
    }

    /* One row against weights of a model's size: [4096, 2048], as many as fill the rotation. */
    private void baseRow() {
        int out = 2 * HIDDEN;
        long size = (long) out * HIDDEN * TYPE.bytes();
        int count = (int) Math.max(1, rotation / size);
        NDArray x = data.tensor(manager, 1, HIDDEN);
        List<NDArray> weights = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            weights.add(ops.rows(machine.pool(), (long) i * out, (long) (i + 1) * out));
        }
        Interleaved times =
                new Interleaved()
                        .add("read", machine::read)
                        .add("rows", () -> weights.forEach(w -> ops.linear(x, w).close()))
                        .add("aten", () -> weights.forEach(w -> Linear.linear(x, w).close()))
                        .run(rounds);
        double share = (double) size * count / machine.bytes();
        headlines.put("base_row_share_of_bandwidth", share * times.ratio("read", "rows"));
        headlines.put("base_row_speedup_over_aten", times.ratio("aten", "rows"));
        weights.forEach(NDArray::close);
    }

    /* What a batch without adapters pays for going through an adapted layer. */
    private void baseOnly() {
        int rowsOfX = 16;
        NDArray x = data.tensor(manager, rowsOfX, HIDDEN);
        NDArray weight = data.tensor(manager, HIDDEN, HIDDEN);
        BatchPlan plan = BatchPlan.uniform(BatchPlan.BASE, rowsOfX);
        try (LoraContext context = new LoraContext(backend, TYPE, manager)) {
            LoraLinear layer = new LoraLinear(context, "layer", weight, null);
            int calls = 50;
            Interleaved times =
                    new Interleaved()
                            .add(
                                    "adapted",
                                    () -> repeat(calls, () -> layer.forward(x, plan).close()))
                            .add("plain", () -> repeat(calls, () -> ops.linear(x, weight).close()))
                            .run(4 * rounds);
            headlines.put("base_only_overhead", times.ratio("adapted", "plain") - 1);
        }
    }

    private void grouped() {
        grouped("grouped_speedup_over_three_calls", 16, 16);
        grouped("grouped_speedup_one_row", 1, 1);
        grouped("grouped_speedup_prefill", PREFILL_ROWS, 4);
    }

    private void grouped(String name, int tokens, int adapters) {
        OperatorCase one = square("qkv", tokens, adapters);
        try (TableCandidate sgmv = new TableCandidate(backend, manager, data, one, GROUPED);
                NDArray second = data.tensor(manager, one.tokens(), one.out());
                NDArray third = data.tensor(manager, one.tokens(), one.out())) {
            Interleaved times =
                    new Interleaved()
                            .add("three", () -> sgmv.applyEach(sgmv.y(), second, third))
                            .add("grouped", () -> sgmv.applyGroups(sgmv.y(), second, third))
                            .run(2 * rounds);
            headlines.put(name, times.ratio("three", "grouped"));
        }
    }

    private void sweep(
            String name,
            int in,
            int out,
            int rank,
            int tokens,
            int adapters,
            Popularity popularity) {
        OperatorCase shape =
                new OperatorCase(name, in, out, List.of(rank), tokens, adapters, popularity);
        int modules = shape.modules(rotation, TYPE);
        try (TableCandidate sgmv = new TableCandidate(backend, manager, data, shape, modules)) {
            Interleaved times = new Interleaved().add("sgmv", sgmv::applyAll).run(rounds);
            add(shape, times.median("sgmv") / modules, limit(shape), Double.NaN);
        }
    }

    private static OperatorCase square(String name, int tokens, int adapters) {
        return new OperatorCase(
                name, HIDDEN, HIDDEN, List.of(RANK), tokens, adapters, Popularity.DISTINCT);
    }

    private double limit(OperatorCase shape) {
        BatchPlan plan = shape.plan();
        return MachineLimit.seconds(
                shape.bytes(plan, TYPE),
                shape.operations(plan),
                readGbPerSecond * 1e9,
                gflopsPerSecond * 1e9);
    }

    private void add(OperatorCase shape, double seconds, double limit, double speedup) {
        BatchPlan plan = shape.plan();
        rows.add(
                new OperatorRow(
                        shape.name(),
                        shape.in(),
                        shape.out(),
                        shape.highestRank(),
                        shape.tokens(),
                        shape.adapters(),
                        shape.popularity().label(),
                        seconds * 1e6,
                        shape.bytes(plan, TYPE),
                        shape.operations(plan),
                        readGbPerSecond,
                        gflopsPerSecond,
                        limit / seconds,
                        speedup));
    }

    private static void repeat(int times, Runnable work) {
        for (int i = 0; i < times; ++i) {
            work.run();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
