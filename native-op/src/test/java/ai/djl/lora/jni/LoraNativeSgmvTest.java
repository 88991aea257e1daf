/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Adapter tables and the operator, against NDArray. */
public class LoraNativeSgmvTest extends NativeTestBase {

    private static final int IN = 40;
    private static final int OUT = 70;

    /** One adapter's parts for one module, as float32 values that are exact in the table's type. */
    private record Parts(NDArray a, NDArray b, NDArray outScale, NDArray bias, float scale) {

        int rank() {
            return a == null ? 0 : (int) a.getShape().get(0);
        }
    }

    @DataProvider
    public Object[][] types() {
        return new Object[][] {
            {LoraNative.FLOAT32, 0x1p-20},
            {LoraNative.FLOAT16, 0x1p-11},
            {LoraNative.BFLOAT16, 0x1p-8}
        };
    }

    private Parts parts(int type, int rank, boolean scaled, boolean bias) {
        return new Parts(
                rank == 0 ? null : rounded(random(rank, IN), type),
                rank == 0 ? null : rounded(random(OUT, rank), type),
                scaled ? rounded(random(OUT), type) : null,
                bias ? rounded(random(OUT), type) : null,
                0.5f);
    }

    /** Puts an adapter for a table of two modules, of which it adapts the second. */
    private void put(long table, int slot, Parts parts, int type) {
        List<NDArray> blocks = new ArrayList<>();
        long[] layout = {0, -1, -1, -1, -1, parts.rank(), -1, -1, -1, -1};
        long offset = 0;
        NDArray[] all = {parts.a(), parts.b(), parts.outScale(), parts.bias()};
        for (int i = 0; i < all.length; ++i) {
            if (all[i] != null) {
                layout[6 + i] = offset;
                offset += all[i].size();
                blocks.add(all[i].flatten());
            }
        }
        NDArray block = manager.zeros(new Shape(1));
        for (int i = 0; i < blocks.size(); ++i) {
            block = i == 0 ? blocks.get(0) : block.concat(blocks.get(i));
        }
        try (NDArray weights = toType(block, type)) {
            LoraNative.tablePut(
                    table, slot, handle(weights), layout, new float[] {0, parts.scale()}, 0, 0);
        }
    }

    private static NDArray expected(NDArray y, NDArray x, Parts parts, NDArray bias) {
        NDArray result = y;
        if (parts != null && parts.rank() > 0) {
            result =
                    result.add(
                            x.matMul(parts.a().transpose())
                                    .matMul(parts.b().transpose())
                                    .mul(parts.scale()));
        }
        if (parts != null && parts.outScale() != null) {
            result = result.mul(parts.outScale());
        }
        NDArray added = parts != null && parts.bias() != null ? parts.bias() : bias;
        return added == null ? result : result.add(added);
    }

    @Test(dataProvider = "types")
    public void mixesAdaptersInOneBatch(int type, double tolerance) {
        long table = LoraNative.tableCreate(new long[] {3, IN}, new long[] {5, OUT}, type);
        Parts[] adapters = {
            parts(type, 8, false, false),
            parts(type, 16, true, true),
            parts(type, 1, false, true),
            parts(type, 0, true, false)
        };
        for (int slot = 0; slot < adapters.length; ++slot) {
            put(table, slot, adapters[slot], type);
        }
        long[] starts = {0, 4, 5, 5, 9, 11, 12};
        long[] slots = {1, -1, 0, 2, 0, 3};
        NDArray x = rounded(random(12, IN), type);
        NDArray base = rounded(random(12, OUT), type);
        NDArray bias = rounded(random(OUT), type);
        for (NDArray layerBias : new NDArray[] {null, bias}) {
            NDArray y = toType(base, type);
            long typedBias = layerBias == null ? 0 : handle(toType(layerBias, type));
            LoraNative.sgmv(handle(y), handle(toType(x, type)), typedBias, starts, slots, table, 1);
            NDArray wide = widen(y);
            for (int s = 0; s < slots.length; ++s) {
                if (starts[s] == starts[s + 1]) {
                    continue;
                }
                String rows = starts[s] + ":" + starts[s + 1];
                Parts parts = slots[s] < 0 ? null : adapters[(int) slots[s]];
                assertClose(
                        wide.get(rows),
                        expected(base.get(rows), x.get(rows), parts, layerBias),
                        tolerance);
            }
        }
        // the first module is not adapted
        NDArray small = manager.ones(new Shape(2, 5));
        NDArray typed = toType(small, type);
        LoraNative.sgmv(
                handle(typed),
                handle(toType(random(2, 3), type)),
                0,
                new long[] {0, 2},
                new long[] {1},
                table,
                0);
        Assert.assertEquals(widen(typed), small);
        LoraNative.tableClose(table);
    }

    @Test
    public void countsWhatLives() {
        long tables = LoraNative.openTables();
        long adapters = LoraNative.liveAdapters();
        long handles = LoraNative.liveHandles();
        long table = LoraNative.tableCreate(new long[] {3, IN}, new long[] {5, OUT}, 0);
        put(table, 0, parts(0, 4, false, false), 0);
        put(table, 7, parts(0, 4, false, false), 0);
        put(table, 7, parts(0, 2, false, false), 0);
        Assert.assertEquals(LoraNative.openTables(), tables + 1);
        Assert.assertEquals(LoraNative.liveAdapters(), adapters + 2);
        // the table's copies are its own, not libtorch's
        Assert.assertEquals(LoraNative.liveHandles(), handles);
        Assert.assertTrue(LoraNative.tableBytes(table, 0) > LoraNative.tableBytes(table, 7));
        LoraNative.tableRemove(table, 0);
        Assert.assertEquals(LoraNative.liveAdapters(), adapters + 1);
        assertRefused("holds no adapter", () -> LoraNative.tableRemove(table, 0));
        LoraNative.tableClose(table);
        Assert.assertEquals(LoraNative.liveAdapters(), adapters);
        assertRefused("it was closed", () -> LoraNative.tableClose(table));
        assertRefused("it was closed", () -> put(table, 0, parts(0, 1, false, false), 0));
        long next = LoraNative.tableCreate(new long[] {1}, new long[] {1}, 0);
        Assert.assertTrue(next > table);
        LoraNative.tableClose(next);
    }

    @Test
    public void keepsWeightsWhoseArrayIsClosed() {
        long table = LoraNative.tableCreate(new long[] {2}, new long[] {1}, 0);
        NDArray weights = manager.create(new float[] {2, 3, 10});
        LoraNative.tablePut(
                table, 0, handle(weights), new long[] {1, 0, 2, -1, -1}, new float[] {1}, 0, 0);
        weights.close();
        NDArray y = manager.zeros(new Shape(1, 1));
        NDArray x = manager.ones(new Shape(1, 2));
        LoraNative.sgmv(handle(y), handle(x), 0, new long[] {0, 1}, new long[] {0}, table, 0);
        Assert.assertEquals(y.getFloat(0, 0), 50f);
        LoraNative.tableClose(table);
    }

    @Test
    public void movesAdaptersInAnArena() {
        long handles = LoraNative.liveHandles();
        long table = LoraNative.tableCreate(new long[] {2}, new long[] {1}, 0);
        long[] layout = {1, 0, 2, -1, -1};
        float[] scales = {1};
        long bytes = LoraNative.tablePackedBytes(table, layout, false);
        long weights = handle(manager.create(new float[] {2, 3, 10}));
        try (NDArray arena = manager.zeros(new Shape(4 * bytes), DataType.UINT8)) {
            long memory = handle(arena);
            LoraNative.preferHugePages(memory);
            assertRefused(
                    "do not lie within arena uint8 [" + 4 * bytes + "]",
                    () ->
                            LoraNative.tablePut(
                                    table, 0, weights, layout, scales, memory, 4 * bytes));
            LoraNative.tablePut(table, 0, weights, layout, scales, memory, 2 * bytes);
            LoraNative.tablePutInt8(
                    table,
                    1,
                    handle(manager.create(new byte[] {4, 6, 20}, new Shape(3))),
                    new float[] {0.5f, 0.5f},
                    0,
                    layout,
                    scales,
                    memory,
                    0);
        }
        Assert.assertEquals(LoraNative.tableBytes(table, 0), bytes);
        Assert.assertEquals(
                LoraNative.tableBytes(table, 1), LoraNative.tablePackedBytes(table, layout, true));
        assertRefused("offset is 1,", () -> LoraNative.tableMove(table, 0, 1));
        assertRefused("slot 1 of table", () -> LoraNative.tableMove(table, 0, 0));
        LoraNative.tableMove(table, 0, 3 * bytes);
        LoraNative.tableMove(table, 1, 64);
        NDArray y = manager.zeros(new Shape(2, 1));
        NDArray x = manager.ones(new Shape(2, 2));
        long[] starts = {0, 1, 2};
        LoraNative.sgmv(handle(y), handle(x), 0, starts, new long[] {0, 1}, table, 0);
        Assert.assertEquals(y.toFloatArray(), new float[] {50, 50});
        assertRefused(
                "layout has 4 values",
                () -> LoraNative.tablePackedBytes(table, new long[4], false));
        assertRefused("layout is null", () -> LoraNative.tablePackedBytes(table, null, false));
        LoraNative.tableClose(table);
        Assert.assertEquals(LoraNative.liveHandles(), handles);
        assertRefused("it was closed", () -> LoraNative.tableMove(table, 0, 0));
        assertRefused("tensor is missing", () -> LoraNative.preferHugePages(0));
        assertRefused("tensor is missing", () -> LoraNative.discardPages(0, 0, 0));
    }

    @Test
    public void refusesWrongTables() {
        long[] one = {1};
        assertRefused("inFeatures is null", () -> LoraNative.tableCreate(null, one, 0));
        assertRefused("outFeatures is null", () -> LoraNative.tableCreate(one, null, 0));
        assertRefused("same length", () -> LoraNative.tableCreate(one, new long[2], 0));
        assertRefused("1 to 1048576", () -> LoraNative.tableCreate(new long[0], new long[0], 0));
        assertRefused("0 inputs", () -> LoraNative.tableCreate(new long[1], one, 0));
        assertRefused("dtype is 3", () -> LoraNative.tableCreate(one, one, 3));
        assertRefused("dtype is -7", () -> LoraNative.tableCreate(one, one, -7));

        long table = LoraNative.tableCreate(new long[] {2}, new long[] {1}, 0);
        long weights = handle(random(3));
        long[] layout = {1, 0, 2, -1, -1};
        float[] scales = {1};
        assertRefused(
                "layout is null", () -> LoraNative.tablePut(table, 0, weights, null, scales, 0, 0));
        assertRefused(
                "scales is null", () -> LoraNative.tablePut(table, 0, weights, layout, null, 0, 0));
        assertRefused(
                "weights is missing", () -> LoraNative.tablePut(table, 0, 0, layout, scales, 0, 0));
        assertRefused(
                "layout has 4 values",
                () -> LoraNative.tablePut(table, 0, weights, new long[4], scales, 0, 0));
        assertRefused(
                "layout is int64 [2, 5]",
                () -> LoraNative.tablePut(table, 0, weights, new long[10], scales, 0, 0));
        assertRefused(
                "B of module 0 is [1, 1] at offset 3",
                () ->
                        LoraNative.tablePut(
                                table, 0, weights, new long[] {1, 0, 3, -1, -1}, scales, 0, 0));
        assertRefused(
                "scale of module 0 is nan",
                () ->
                        LoraNative.tablePut(
                                table, 0, weights, layout, new float[] {Float.NaN}, 0, 0));
        assertRefused(
                "slot is -1", () -> LoraNative.tablePut(table, -1, weights, layout, scales, 0, 0));
        assertRefused(
                "weights is bfloat16 [3]",
                () ->
                        LoraNative.tablePut(
                                table, 0, handle(toType(random(3), 2)), layout, scales, 0, 0));
        assertRefused("there is no table -5", () -> LoraNative.tableRemove(-5, 0));
        LoraNative.tableClose(table);
    }

    @Test
    public void refusesWrongCallsWithoutTouchingY() {
        long table = LoraNative.tableCreate(new long[] {2}, new long[] {3}, 0);
        NDArray y = random(4, 3);
        NDArray before = y.duplicate();
        NDArray x = random(4, 2);
        long[] starts = {0, 4};
        long[] slots = {-1};
        assertRefused(
                "y is missing", () -> LoraNative.sgmv(0, handle(x), 0, starts, slots, table, 0));
        assertRefused(
                "x is missing", () -> LoraNative.sgmv(handle(y), 0, 0, starts, slots, table, 0));
        assertRefused(
                "segmentStarts is null",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, null, slots, table, 0));
        assertRefused(
                "slots is null",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, starts, null, table, 0));
        assertRefused(
                "segment_starts is int64 [0] and slots is int64 [0]",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, new long[0], new long[0], table, 0));
        assertRefused(
                "runs from 0 to 3, but it must run from 0 to the 4 rows",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, new long[] {0, 3}, slots, table, 0));
        assertRefused(
                "holds no adapter",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, starts, new long[] {0}, table, 0));
        assertRefused(
                "y is float32 [4, 2], but module 0",
                () -> LoraNative.sgmv(handle(x), handle(y), 0, starts, slots, table, 0));
        assertRefused(
                "bias is float32 [2]",
                () ->
                        LoraNative.sgmv(
                                handle(y), handle(x), handle(random(2)), starts, slots, table, 0));
        assertRefused(
                "module is 1",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, starts, slots, table, 1));
        assertRefused(
                "there is no table",
                () -> LoraNative.sgmv(handle(y), handle(x), 0, starts, slots, 0, 0));
        Assert.assertEquals(y, before);
        LoraNative.tableClose(table);
    }

    @Test
    public void changesTablesWhileOtherThreadsCompute() throws Exception {
        long table = LoraNative.tableCreate(new long[] {4}, new long[] {3}, 0);
        long[] layout = {1, 0, 4, -1, -1};
        NDArray[] weights = new NDArray[3];
        for (int i = 0; i < weights.length; ++i) {
            weights[i] = manager.ones(new Shape(7)).mul(i + 1);
        }
        LoraNative.tablePut(table, 0, handle(weights[0]), layout, new float[] {1}, 0, 0);
        ExecutorService executor = Executors.newFixedThreadPool(2);
        try {
            List<Future<?>> readers = new ArrayList<>();
            for (int thread = 0; thread < 2; ++thread) {
                readers.add(executor.submit(() -> readWholeAdapters(table)));
            }
            for (int round = 0; round < 3000; ++round) {
                LoraNative.tablePut(
                        table, 0, handle(weights[round % 3]), layout, new float[] {1}, 0, 0);
                LoraNative.tablePut(
                        table, 1, handle(weights[round % 3]), layout, new float[] {1}, 0, 0);
                LoraNative.tableRemove(table, 1);
            }
            for (Future<?> reader : readers) {
                reader.get(60, TimeUnit.SECONDS);
            }
        } finally {
            executor.shutdownNow();
            executor.awaitTermination(60, TimeUnit.SECONDS);
            LoraNative.tableClose(table);
        }
    }

    private Void readWholeAdapters(long table) {
        try (var own = manager.newSubManager()) {
            NDArray x = own.ones(new Shape(1, 4));
            for (int round = 0; round < 1500; ++round) {
                try (NDArray y = own.zeros(new Shape(1, 3))) {
                    LoraNative.sgmv(
                            handle(y), handle(x), 0, new long[] {0, 1}, new long[] {0}, table, 0);
                    float[] values = y.toFloatArray();
                    float v = (float) Math.sqrt(values[0] / 4);
                    Assert.assertTrue(v == 1f || v == 2f || v == 3f, "value " + values[0]);
                    Assert.assertEquals(values, new float[] {values[0], values[0], values[0]});
                }
            }
        }
        return null;
    }
}
