/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.core.Linear;
import ai.djl.pytorch.engine.PtNDArray;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Measures the operator in bfloat16 through the same calls that a model makes, against the
 * machine's own bandwidth and matmul rate and against the ways in which ATen alone would do it.
 *
 * <p>Weights are rotated: each call takes another module, over more memory than the last-level
 * cache holds, as a model's layers do.
 */
final class OperatorBench implements AutoCloseable {

    private static final ElementType TYPE = ElementType.BFLOAT16;
    private static final int BYTES = 2;
    private static final int HIDDEN = 2048;
    private static final int RANK = 16;
    private static final int DECODE_ROWS = 32;
    private static final int PREFILL_ROWS = 512;
    private static final int MOST_MODULES = 1024;

    private final NDManager manager = NDManager.newBaseManager(null, "PyTorch");
    private final LoraBackend backend;
    private final TensorOps ops;
    private final long rotation;
    private final int rounds;
    private final NDArray pool;
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
        this.ops = backend.getTensorOps(ElementType.BFLOAT16);
        this.rotation = rotation;
        this.rounds = rounds;
        this.pool = random(rotation / BYTES / HIDDEN, HIDDEN);
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
        machine();
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
            sweep(new OperatorCase("shape", shape[0], shape[1], RANK, 32, 32, "distinct"));
            sweep(new OperatorCase("shape", shape[0], shape[1], RANK, 512, 4, "distinct"));
        }
        for (int rank : new int[] {4, 8, 32, 64, 128, 256}) {
            sweep(new OperatorCase("rank", HIDDEN, HIDDEN, rank, 16, 16, "distinct"));
        }
        for (int tokens : new int[] {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}) {
            sweep(new OperatorCase("tokens", HIDDEN, HIDDEN, RANK, tokens, tokens, "distinct"));
            sweep(new OperatorCase("tokens", HIDDEN, HIDDEN, RANK, tokens, 1, "identical"));
        }
        for (String popularity :
                new String[] {"identical", "distinct", "uniform", "zipf", "skewed"}) {
            sweep(new OperatorCase("popularity", HIDDEN, HIDDEN, RANK, 64, 64, popularity));
        }
    }

    private void machine() {
        NDArray x = random(PREFILL_ROWS, HIDDEN);
        NDArray w = random(HIDDEN, HIDDEN);
        long operations = 2L * PREFILL_ROWS * HIDDEN * HIDDEN;
        Interleaved times =
                new Interleaved()
                        .add("read", () -> LoraNative.readAll(handle(pool)))
                        .add("matmul", () -> Linear.linear(x, w).close())
                        .run(rounds);
        readGbPerSecond = (double) rotation / times.median("read") * 1e-9;
        gflopsPerSecond = operations / times.median("matmul") * 1e-9;
    }

    private void decode() {
        OperatorCase decode =
                new OperatorCase(
                        "decode", HIDDEN, HIDDEN, RANK, DECODE_ROWS, DECODE_ROWS, "distinct");
        BatchPlan plan = decode.plan();
        int modules = (int) Math.max(1, rotation / (decode.adapterBytes() * DECODE_ROWS));
        try (Bank bank = new Bank(decode, modules)) {
            NDArray a = random((long) modules * DECODE_ROWS * RANK, HIDDEN);
            NDArray b = random((long) modules * DECODE_ROWS * HIDDEN, RANK);
            long read = decode.bytes(plan) * modules;
            Interleaved times =
                    new Interleaved()
                            .add("read", () -> LoraNative.readAll(handle(pool)))
                            .add("sgmv", () -> bank.applyAll(plan))
                            .add("loop", () -> loopAll(bank, a, b, modules, plan))
                            .add("bmm", () -> bmmAll(bank, a, b, modules, false))
                            .add("bmm transposed", () -> bmmAll(bank, a, b, modules, true))
                            .run(rounds);
            double limit = times.median("read") * read / rotation;
            headlines.put(
                    "decode_share_of_bandwidth",
                    (double) read / rotation * times.ratio("read", "sgmv"));
            headlines.put("speedup_over_loop", times.ratio("loop", "sgmv"));
            headlines.put(
                    "speedup_over_gather_bmm",
                    Math.min(times.ratio("bmm", "sgmv"), times.ratio("bmm transposed", "sgmv")));
            add(
                    decode,
                    plan,
                    times.median("sgmv") / modules,
                    limit / modules,
                    times.ratio("loop", "sgmv"));
            a.close();
            b.close();
        }
    }

    private void prefill() {
        OperatorCase prefill =
                new OperatorCase("prefill", HIDDEN, HIDDEN, RANK, PREFILL_ROWS, 4, "distinct");
        BatchPlan plan = prefill.plan();
        int modules = 16;
        try (Bank bank = new Bank(prefill, modules)) {
            NDArray a = random((long) modules * 4 * RANK, HIDDEN);
            NDArray b = random((long) modules * 4 * HIDDEN, RANK);
            Interleaved times =
                    new Interleaved()
                            .add("sgmv", () -> bank.applyAll(plan))
                            .add("loop", () -> loopAll(bank, a, b, modules, plan))
                            .run(2 * rounds);
            headlines.put("prefill_speedup_over_aten", times.ratio("loop", "sgmv"));
            add(
                    prefill,
                    plan,
                    times.median("sgmv") / modules,
                    limit(prefill, plan),
                    times.ratio("loop", "sgmv"));
            a.close();
            b.close();
        }
    }

    /* One row against weights of a model's size: [4096, 2048], as many as fill the rotation. */
    private void baseRow() {
        int out = 2 * HIDDEN;
        long size = (long) out * HIDDEN * BYTES;
        int count = (int) Math.max(1, rotation / size);
        NDArray x = random(1, HIDDEN);
        List<NDArray> weights = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            weights.add(ops.rows(pool, (long) i * out, (long) (i + 1) * out));
        }
        Interleaved times =
                new Interleaved()
                        .add("read", () -> LoraNative.readAll(handle(pool)))
                        .add("rows", () -> weights.forEach(w -> ops.linear(x, w).close()))
                        .add("aten", () -> weights.forEach(w -> Linear.linear(x, w).close()))
                        .run(rounds);
        double share = (double) size * count / rotation;
        headlines.put("base_row_share_of_bandwidth", share * times.ratio("read", "rows"));
        headlines.put("base_row_speedup_over_aten", times.ratio("aten", "rows"));
        weights.forEach(NDArray::close);
    }

    /* What a batch without adapters pays for going through an adapted layer. */
    private void baseOnly() {
        int rowsOfX = 16;
        NDArray x = random(rowsOfX, HIDDEN);
        NDArray weight = random(HIDDEN, HIDDEN);
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
        OperatorCase one =
                new OperatorCase("qkv", HIDDEN, HIDDEN, RANK, tokens, adapters, "distinct");
        BatchPlan plan = one.plan();
        try (Bank bank = new Bank(one, 48)) {
            NDArray second = random(one.tokens(), one.out());
            NDArray third = random(one.tokens(), one.out());
            Interleaved times =
                    new Interleaved()
                            .add("three", () -> bank.applyEach(plan, bank.y, second, third))
                            .add("grouped", () -> bank.applyGroups(plan, bank.y, second, third))
                            .run(2 * rounds);
            second.close();
            third.close();
            headlines.put(name, times.ratio("three", "grouped"));
        }
    }

    private void sweep(OperatorCase shape) {
        BatchPlan plan = shape.plan();
        long perModule = shape.adapterBytes() * shape.adapters();
        int modules = (int) Math.max(2, Math.min(MOST_MODULES, rotation / perModule));
        try (Bank bank = new Bank(shape, modules)) {
            Interleaved times =
                    new Interleaved().add("sgmv", () -> bank.applyAll(plan)).run(rounds);
            add(shape, plan, times.median("sgmv") / modules, limit(shape, plan), Double.NaN);
        }
    }

    private double limit(OperatorCase shape, BatchPlan plan) {
        return Math.max(
                shape.bytes(plan) / (readGbPerSecond * 1e9),
                shape.operations() / (gflopsPerSecond * 1e9));
    }

    private void add(
            OperatorCase shape, BatchPlan plan, double seconds, double limit, double speedup) {
        rows.add(
                new OperatorRow(
                        shape.name(),
                        shape.in(),
                        shape.out(),
                        shape.rank(),
                        shape.tokens(),
                        shape.adapters(),
                        shape.popularity(),
                        seconds * 1e6,
                        shape.bytes(plan),
                        shape.operations(),
                        readGbPerSecond,
                        gflopsPerSecond,
                        limit / seconds,
                        speedup));
    }

    /* Two matmuls and an addition for each adapter, on views of its rows. */
    private void loopAll(Bank bank, NDArray a, NDArray b, int modules, BatchPlan plan) {
        long[] starts = plan.segmentStarts();
        long[] slots = plan.slots();
        int adapters = bank.shape.adapters();
        for (int m = 0; m < modules; ++m) {
            for (int s = 0; s < slots.length; ++s) {
                long index = (long) m * adapters + slots[s];
                try (NDArray x = ops.rows(bank.x, starts[s], starts[s + 1]);
                        NDArray y = ops.rows(bank.y, starts[s], starts[s + 1]);
                        NDArray down = ops.rows(a, index * RANK, (index + 1) * RANK);
                        NDArray up = ops.rows(b, index * HIDDEN, (index + 1) * HIDDEN);
                        NDArray inner = aten(x, down);
                        NDArray delta = aten(inner, up)) {
                    y.addi(delta);
                }
            }
        }
    }

    /* Gathers each row's A and B and multiplies them in a batch, from either side. */
    private void bmmAll(Bank bank, NDArray a, NDArray b, int modules, boolean transposed) {
        long rowsOfX = bank.shape.tokens();
        long[] ids = new long[(int) rowsOfX];
        for (int t = 0; t < ids.length; ++t) {
            ids[t] = t;
        }
        for (int m = 0; m < modules; ++m) {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray index = scratch.create(ids);
                NDArray allA = ops.rows(a, m * rowsOfX * RANK, (m + 1) * rowsOfX * RANK);
                allA.attach(scratch);
                NDArray allB = ops.rows(b, m * rowsOfX * HIDDEN, (m + 1) * rowsOfX * HIDDEN);
                allB.attach(scratch);
                NDArray gatheredA =
                        ops.embedding(allA.reshape(rowsOfX, (long) RANK * HIDDEN), index)
                                .reshape(rowsOfX, RANK, HIDDEN);
                NDArray gatheredB =
                        ops.embedding(allB.reshape(rowsOfX, (long) RANK * HIDDEN), index)
                                .reshape(rowsOfX, HIDDEN, RANK);
                NDArray delta;
                if (transposed) {
                    NDArray x = bank.x.reshape(rowsOfX, 1, HIDDEN);
                    x.attach(scratch);
                    NDArray inner = x.batchMatMul(gatheredA.transpose(0, 2, 1));
                    delta = inner.batchMatMul(gatheredB.transpose(0, 2, 1));
                } else {
                    NDArray x = bank.x.reshape(rowsOfX, HIDDEN, 1);
                    x.attach(scratch);
                    delta = gatheredB.batchMatMul(gatheredA.batchMatMul(x));
                }
                bank.y.addi(delta.reshape(rowsOfX, HIDDEN));
            }
        }
    }

    private static NDArray aten(NDArray x, NDArray weight) {
        return Linear.linear(x, weight).singletonOrThrow();
    }

    private static void repeat(int times, Runnable work) {
        for (int i = 0; i < times; ++i) {
            work.run();
        }
    }

    private static long handle(NDArray array) {
        return ((PtNDArray) array).getHandle();
    }

    /**
     * Returns small random numbers in bfloat16: the same bytes again and again, which no cache
     * sees.
     */
    private NDArray random(long height, long width) {
        long handle = LoraNative.empty(TYPE.code(), new long[] {height, width});
        byte[] block = randomBytes((int) Math.min(1 << 20, height * width * BYTES));
        long size = height * width * BYTES;
        for (long offset = 0; offset < size; offset += block.length) {
            int length = (int) Math.min(block.length, size - offset);
            LoraNative.copyFromBytes(handle, offset, block, 0, length);
        }
        return new PtNDArray((ai.djl.pytorch.engine.PtNDManager) manager, handle);
    }

    private static byte[] randomBytes(int size) {
        SplittableRandom random = new SplittableRandom(7);
        byte[] bytes = new byte[size];
        random.nextBytes(bytes);
        for (int i = 1; i < size; i += 2) {
            // the sign and an exponent of 2^-7: +-(1 to 2) / 128
            bytes[i] = (byte) (bytes[i] & 0x80 | 0x3c);
        }
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }

    /** A table of modules with every adapter of a case resident, and its input and output. */
    private final class Bank implements AutoCloseable {

        private final OperatorCase shape;
        private final AdapterTable table;
        private final int modules;
        private final NDArray x;
        private final NDArray y;

        Bank(OperatorCase shape, int modules) {
            this.shape = shape;
            this.modules = modules;
            List<LoraModule> list = new ArrayList<>();
            PackedAdapter.Entry[] entries = new PackedAdapter.Entry[modules];
            long perModule = (long) shape.rank() * (shape.in() + shape.out());
            // modules share the block's bytes; the table gives each memory of its own
            for (int m = 0; m < modules; ++m) {
                list.add(new LoraModule(m, "module." + m, shape.in(), shape.out()));
                entries[m] =
                        new PackedAdapter.Entry(
                                shape.rank(), 1f, 0, (long) shape.rank() * shape.in());
            }
            PackedAdapter adapter =
                    new PackedAdapter(
                            TYPE, randomBytes(Math.toIntExact(perModule * BYTES)), entries);
            table = backend.newTable(manager, list, TYPE);
            for (int i = 0; i < shape.adapters(); ++i) {
                table.put(adapter);
            }
            x = random(shape.tokens(), shape.in());
            y = random(shape.tokens(), shape.out());
        }

        void applyAll(BatchPlan plan) {
            for (int m = 0; m < modules; ++m) {
                table.apply(m, x, y, null, plan);
            }
        }

        /* Each output in turn, as a model's projections have theirs. */
        void applyEach(BatchPlan plan, NDArray... outputs) {
            for (int m = 0; m < modules; ++m) {
                table.apply(m, x, outputs[m % outputs.length], null, plan);
            }
        }

        void applyGroups(BatchPlan plan, NDArray... outputs) {
            int size = outputs.length;
            NDArray[] biases = new NDArray[size];
            for (int m = 0; m + size <= modules; m += size) {
                int[] group = new int[size];
                for (int i = 0; i < size; ++i) {
                    group[i] = m + i;
                }
                table.applyGroup(group, x, outputs, biases, plan);
            }
        }

        @Override
        public void close() {
            table.close();
            x.close();
            y.close();
        }
    }
}
