/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Attention over pages against libtorch's own, and what it refuses. */
public class LoraNativeAttentionTest {

    private static final int POSITIONS = 16;

    /** The code of 8-bit integers. */
    private static final int INT8 = 7;

    private NDManager manager;

    @BeforeMethod
    public void setUp() {
        manager = NDManager.newBaseManager("PyTorch");
    }

    @AfterMethod
    public void tearDown() {
        manager.close();
    }

    @Test
    public void agreesWithLibtorch() {
        int heads = 6;
        int keyHeads = 2;
        int dim = 64;
        int[] lengths = {70, 9, 33};
        int[] rows = {70, 1, 4};
        NDArray keys = nan(9, keyHeads, dim, POSITIONS);
        NDArray values = nan(9, keyHeads, POSITIONS, dim);
        long[][] pages = {{8, 1, 5, 2, 7}, {0}, {4, 3, 6}};
        NDList queries = new NDList();
        NDList expected = new NDList();
        for (int s = 0; s < 3; ++s) {
            NDArray k = random(lengths[s], keyHeads, dim);
            NDArray v = random(lengths[s], keyHeads, dim);
            NDArray q = random(rows[s], heads, dim);
            long[] places = new long[lengths[s]];
            for (int i = 0; i < places.length; ++i) {
                places[i] = pages[s][i / POSITIONS] * POSITIONS + i % POSITIONS;
            }
            LoraNative.kvWrite(
                    0,
                    handle(k),
                    handle(v),
                    0,
                    0,
                    handle(keys),
                    handle(values),
                    handle(manager.create(places)));
            boolean causal = rows[s] == lengths[s];
            NDArray mask = causal ? null : mask(rows[s], lengths[s]);
            queries.add(q);
            expected.add(
                    array(
                            LoraNative.attention(
                                    handle(q),
                                    handle(k),
                                    handle(v),
                                    mask == null ? 0 : handle(mask),
                                    causal,
                                    0.125)));
        }
        NDArray result =
                array(
                        LoraNative.pagedAttention(
                                handle(NDArrays.concat(queries)),
                                handle(keys),
                                handle(values),
                                longs(0, 70, 71, 75),
                                longs(70, 9, 33),
                                longs(0, 5, 6, 9),
                                longs(8, 1, 5, 2, 7, 0, 4, 3, 6),
                                0,
                                0.125));
        float[] wanted = NDArrays.concat(expected).toFloatArray();
        float[] found = result.toFloatArray();
        for (int i = 0; i < wanted.length; ++i) {
            // two float32 computations of weighted means of values of about 1
            Assert.assertEquals(found[i], wanted[i], 2e-5, "element " + i);
        }
    }

    @Test
    public void refusesWhatDoesNotFit() {
        long q = handle(random(3, 4, 8));
        long keys = handle(random(2, 2, 8, 16));
        long values = handle(random(2, 2, 16, 8));
        assertRefused(
                "keys is float32 [2, 2, 16, 8]",
                () -> attend(q, values, values, longs(0, 3), longs(3), longs(0, 1), longs(0)));
        assertRefused(
                "a multiple of 16 positions",
                () ->
                        attend(
                                q,
                                handle(random(2, 2, 8, 8)),
                                handle(random(2, 2, 8, 8)),
                                longs(0, 3),
                                longs(3),
                                longs(0, 1),
                                longs(0)));
        assertRefused(
                "q is float32 [3, 3, 8], but its heads must be a multiple of the pages' 2",
                () ->
                        attend(
                                handle(random(3, 3, 8)),
                                keys,
                                values,
                                longs(0, 3),
                                longs(3),
                                longs(0, 1),
                                longs(0)));
        assertRefused(
                "row_starts[1] is 2, but starts must rise from 0 to 3",
                () -> attend(q, keys, values, longs(0, 2), longs(3), longs(0, 1), longs(0)));
        assertRefused(
                "page_table[0] is 2, but there are 2 pages",
                () -> attend(q, keys, values, longs(0, 3), longs(3), longs(0, 1), longs(2)));
        assertRefused(
                "lengths[0] is 17, but it must be 3 (its rows) to 16 (its pages' room)",
                () -> attend(q, keys, values, longs(0, 3), longs(17), longs(0, 1), longs(0)));
        assertRefused(
                "lengths[0] is 2",
                () -> attend(q, keys, values, longs(0, 3), longs(2), longs(0, 1), longs(0)));
        assertRefused(
                "page_starts is int64 [3]",
                () -> attend(q, keys, values, longs(0, 3), longs(3), longs(0, 1, 1), longs(0)));
        assertRefused(
                "lengths is float32",
                () ->
                        attend(
                                q,
                                keys,
                                values,
                                longs(0, 3),
                                handle(random(1)),
                                longs(0, 1),
                                longs(0)));
        long bytes = handle(array(LoraNative.zeros(INT8, new long[] {2, 2, 10, 16})));
        assertRefused(
                "values is float32 [2, 2, 16, 8], but its type must be int8",
                () -> attend(q, bytes, values, longs(0, 3), longs(3), longs(0, 1), longs(0)));
        assertRefused(
                "keys is int8 [2, 2, 10, 16] and values is int8 [2, 2, 10, 16]",
                () -> attend(q, bytes, bytes, longs(0, 3), longs(3), longs(0, 1), longs(0)));
        long narrow = handle(array(LoraNative.zeros(INT8, new long[] {2, 2, 16, 16})));
        long other = handle(array(LoraNative.zeros(INT8, new long[] {2, 2, 16, 16})));
        assertRefused(
                "q is float32 [3, 4, 8], but heads in pages have 14 components",
                () -> attend(q, narrow, other, longs(0, 3), longs(3), longs(0, 1), longs(0)));
        assertRefused(
                "q is int8",
                () -> attend(bytes, narrow, other, longs(0, 3), longs(3), longs(0, 1), longs(0)));
        long k = handle(random(3, 2, 8));
        assertRefused(
                "places[1] is 32, but there are 32",
                () -> LoraNative.kvWrite(0, k, k, 0, 0, keys, values, longs(0, 32, 1)));
        assertRefused(
                "places is int64 [2]",
                () -> LoraNative.kvWrite(0, k, k, 0, 0, keys, values, longs(0, 1)));
        assertRefused(
                "cos and sin must be given together",
                () -> LoraNative.kvWrite(q, k, k, 0, 0, keys, values, longs(0, 1, 2)));
        assertRefused(
                "cos is float32 [3, 3]",
                () ->
                        LoraNative.kvWrite(
                                q,
                                k,
                                k,
                                handle(random(3, 3)),
                                handle(random(3, 4)),
                                keys,
                                values,
                                longs(0, 1, 2)));
        assertRefused(
                "keys is missing",
                () -> LoraNative.kvWrite(0, k, k, 0, 0, 0, values, longs(0, 1, 2)));
    }

    private void attend(
            long q,
            long keys,
            long values,
            long rowStarts,
            long lengths,
            long pageStarts,
            long pageTable) {
        array(
                LoraNative.pagedAttention(
                        q, keys, values, rowStarts, lengths, pageStarts, pageTable, 0, 1));
    }

    private static void assertRefused(String reason, Assert.ThrowingRunnable call) {
        IllegalArgumentException e = Assert.expectThrows(IllegalArgumentException.class, call);
        Assert.assertTrue(e.getMessage().contains(reason), e.getMessage());
    }

    private NDArray mask(int rows, int length) {
        boolean[] seen = new boolean[rows * length];
        for (int i = 0; i < rows; ++i) {
            for (int j = 0; j <= length - rows + i; ++j) {
                seen[i * length + j] = true;
            }
        }
        return manager.create(seen, new Shape(rows, length));
    }

    private NDArray nan(long... shape) {
        return manager.full(new Shape(shape), Float.NaN, DataType.FLOAT32);
    }

    private NDArray random(long... shape) {
        return manager.randomNormal(new Shape(shape));
    }

    private long longs(long... values) {
        return handle(manager.create(values));
    }

    private NDArray array(long handle) {
        return new PtNDArray((PtNDManager) manager, handle);
    }

    private static long handle(NDArray array) {
        return ((PtNDArray) array).getHandle();
    }
}
