/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The tensor operations of every backend against plain loops. */
public class TensorOpsTest {

    @DataProvider
    public Object[][] backends() {
        return Backends.withTypes();
    }

    @Test(dataProvider = "backends")
    public void convertsOnTheWayIn(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            // 1.5 and -2 as float16, then as bfloat16, from a buffer that starts at an odd address
            ByteBuffer data = ByteBuffer.allocateDirect(5).order(ByteOrder.LITTLE_ENDIAN);
            data.put((byte) 0).putShort((short) 0x3e00).putShort((short) 0xc000).position(1);
            float[] half =
                    Backends.values(
                            ops,
                            ops.fromBuffer(manager, data, ElementType.FLOAT16, type, new Shape(2)));
            Assert.assertEquals(half, new float[] {1.5f, -2f});
            data.position(1);
            data.putShort((short) 0x3fc0).putShort((short) 0xc000).position(1);
            NDArray array =
                    ops.fromBuffer(manager, data, ElementType.BFLOAT16, type, new Shape(2, 1));
            Assert.assertEquals(ops.typeOf(array), type);
            Assert.assertEquals(Backends.values(ops, array), new float[] {1.5f, -2f});
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> ops.fromBuffer(manager, data, ElementType.BFLOAT16, type, new Shape(3)));
        }
    }

    @Test(dataProvider = "backends")
    public void convertedArrayHasMemoryOfItsOwn(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray array = Backends.array(manager, ops, type, new float[] {1, 2}, 2);
            NDArray copy = ops.toType(array, type);
            ops.copyRows(copy, 0, ops.zeros(manager, new Shape(2), type));
            Assert.assertEquals(Backends.values(ops, array), new float[] {1, 2});
        }
    }

    @Test
    public void uploadsMoreThanOneStagingBuffer() {
        TensorOps ops = LoraBackends.choose("pytorch").getTensorOps(ElementType.FLOAT32);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            int size = 600_001;
            ByteBuffer data = ByteBuffer.allocateDirect(2 * size).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < size; ++i) {
                data.putShort((short) (0x3f80 + i % 64)); // bfloat16 of 1 + (i mod 64) / 128
            }
            data.flip();
            float[] values =
                    ops.fromBuffer(
                                    manager,
                                    data,
                                    ElementType.BFLOAT16,
                                    ElementType.FLOAT32,
                                    new Shape(size))
                            .toFloatArray();
            for (int i = 0; i < size; ++i) {
                Assert.assertEquals(values[i], 1 + (i % 64) / 128f, 0f, "element " + i);
            }
        }
    }

    @Test(dataProvider = "backends")
    public void embeds(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray weight =
                    Backends.array(manager, ops, type, new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
            NDArray rows = ops.embedding(weight, manager.create(new long[] {2, 0, 2}));
            Assert.assertEquals(Backends.values(ops, rows), new float[] {5, 6, 1, 2, 5, 6});
        }
    }

    @Test(dataProvider = "backends")
    public void multiplies(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray x = Backends.array(manager, ops, type, new float[] {1, 2, 3, -1, 0, 1}, 2, 3);
            NDArray w = Backends.array(manager, ops, type, new float[] {1, 0, 2, 0, 1, 0}, 2, 3);
            Assert.assertEquals(Backends.values(ops, ops.linear(x, w)), new float[] {7, 2, 1, 0});
        }
    }

    @Test(dataProvider = "backends")
    public void normalises(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(5);
        float[] x = Backends.randomValues(random, 5 * 33, 2);
        float[] weight = Backends.randomValues(random, 33, 1);
        double epsilon = 1e-5;
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray y =
                    ops.rmsNorm(
                            Backends.array(manager, ops, type, x, 5, 33),
                            Backends.array(manager, ops, type, weight, 33),
                            epsilon);
            float[] actual = Backends.values(ops, y);
            for (int t = 0; t < 5; ++t) {
                double square = 0;
                for (int i = 0; i < 33; ++i) {
                    square += (double) x[t * 33 + i] * x[t * 33 + i];
                }
                double factor = 1 / Math.sqrt(square / 33 + epsilon);
                for (int i = 0; i < 33; ++i) {
                    assertClose(actual[t * 33 + i], x[t * 33 + i] * factor * weight[i], type, 2);
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void rotates(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(6);
        int tokens = 3;
        int heads = 2;
        int half = 4;
        float[] x = Backends.randomValues(random, tokens * heads * 2L * half, 1);
        float[] cos = new float[tokens * half];
        float[] sin = new float[tokens * half];
        for (int i = 0; i < cos.length; ++i) {
            cos[i] = (float) Math.cos(i);
            sin[i] = (float) Math.sin(i);
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray y =
                    ops.rotary(
                            Backends.array(manager, ops, type, x, tokens, heads, 2 * half),
                            manager.create(cos, new Shape(tokens, half)),
                            manager.create(sin, new Shape(tokens, half)));
            float[] actual = Backends.values(ops, y);
            for (int t = 0; t < tokens; ++t) {
                for (int h = 0; h < heads; ++h) {
                    for (int i = 0; i < half; ++i) {
                        int first = (t * heads + h) * 2 * half + i;
                        int second = first + half;
                        double c = cos[t * half + i];
                        double s = sin[t * half + i];
                        assertClose(actual[first], x[first] * c - x[second] * s, type, 1);
                        assertClose(actual[second], x[second] * c + x[first] * s, type, 1);
                    }
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void gates(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        float[] gate = {-3, -0.5f, 0, 0.25f, 4};
        float[] up = {1, 2, 3, 4, 5};
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            float[] actual =
                    Backends.values(
                            ops,
                            ops.siluMul(
                                    Backends.array(manager, ops, type, gate, 5),
                                    Backends.array(manager, ops, type, up, 5)));
            for (int i = 0; i < 5; ++i) {
                assertClose(actual[i], gate[i] / (1 + Math.exp(-gate[i])) * up[i], type, 2);
            }
        }
    }

    @Test(dataProvider = "backends")
    public void attends(LoraBackend backend, ElementType type) {
        Random random = new Random(7);
        check(backend, type, random, 5, 5, 4, 2, 8, null, true);
        check(backend, type, random, 1, 7, 6, 2, 16, null, false);
        check(backend, type, random, 3, 6, 2, 2, 8, null, false);
        boolean[] window = new boolean[3 * 6];
        for (int i = 0; i < 3; ++i) {
            for (int j = 0; j < 6; ++j) {
                window[i * 6 + j] = j <= 3 + i && j > 1 + i;
            }
        }
        check(backend, type, random, 3, 6, 4, 1, 8, window, false);
    }

    private static void check(
            LoraBackend backend,
            ElementType type,
            Random random,
            int queries,
            int keys,
            int heads,
            int keyHeads,
            int dim,
            boolean[] mask,
            boolean causal) {
        TensorOps ops = backend.getTensorOps(type);
        float[] q = Backends.randomValues(random, (long) queries * heads * dim, 1);
        float[] k = Backends.randomValues(random, (long) keys * keyHeads * dim, 1);
        float[] v = Backends.randomValues(random, (long) keys * keyHeads * dim, 1);
        double scale = 1 / Math.sqrt(dim);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray result =
                    ops.attention(
                            Backends.array(manager, ops, type, q, queries, heads, dim),
                            Backends.array(manager, ops, type, k, keys, keyHeads, dim),
                            Backends.array(manager, ops, type, v, keys, keyHeads, dim),
                            mask == null ? null : manager.create(mask, new Shape(queries, keys)),
                            causal,
                            scale);
            Assert.assertEquals(result.getShape(), new Shape(queries, heads, dim));
            float[] actual = Backends.values(ops, result);
            for (int i = 0; i < queries; ++i) {
                for (int h = 0; h < heads; ++h) {
                    int group = h / (heads / keyHeads);
                    double[] weights = new double[keys];
                    double sum = 0;
                    for (int j = 0; j < keys; ++j) {
                        double dot = 0;
                        for (int d = 0; d < dim; ++d) {
                            dot +=
                                    (double) q[(i * heads + h) * dim + d]
                                            * k[(j * keyHeads + group) * dim + d];
                        }
                        boolean seen = causal ? j <= i : mask == null || mask[i * keys + j];
                        weights[j] = seen ? Math.exp(dot * scale) : 0;
                        sum += weights[j];
                    }
                    for (int d = 0; d < dim; ++d) {
                        double expected = 0;
                        for (int j = 0; j < keys; ++j) {
                            expected += weights[j] / sum * v[(j * keyHeads + group) * dim + d];
                        }
                        assertClose(actual[(i * heads + h) * dim + d], expected, type, 4);
                    }
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void copiesAndViewsRows(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray target = ops.zeros(manager, new Shape(4, 2), type);
            NDArray source = Backends.array(manager, ops, type, new float[] {1, 2, 3, 4}, 2, 2);
            ops.copyRows(target, 1, source);
            Assert.assertEquals(Backends.values(ops, target), new float[] {0, 0, 1, 2, 3, 4, 0, 0});
            NDArray view = ops.rows(target, 2, 4);
            Assert.assertEquals(Backends.values(ops, view), new float[] {3, 4, 0, 0});
            ops.copyRows(view, 1, ops.rows(source, 0, 1));
            Assert.assertEquals(Backends.values(ops, target), new float[] {0, 0, 1, 2, 3, 4, 1, 2});
            Assert.assertThrows(
                    IllegalArgumentException.class, () -> ops.copyRows(target, 3, source));
            Assert.assertThrows(IllegalArgumentException.class, () -> ops.rows(target, 2, 5));
        }
    }

    /*
     * float32: a few roundings of 2^-24 and the engine's approximate exp; the 16-bit types: as many
     * roundings of 2^-8 (float16: 2^-11) as there are intermediate results in that type.
     */
    private static void assertClose(
            double actual, double expected, ElementType type, int roundings) {
        double relative =
                switch (type) {
                    case FLOAT32 -> 1e-5;
                    case FLOAT16 -> roundings * 0x1p-11;
                    case BFLOAT16 -> roundings * 0x1p-8;
                };
        Assert.assertEquals(actual, expected, relative * Math.max(1, Math.abs(expected)));
    }
}
