/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
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

    /** Returns a manager on the backends' device. */
    NDManager newManager() {
        return NDManager.newBaseManager("PyTorch");
    }

    /** Returns what pages in 8 bits are refused with, if they are. */
    Optional<String> refusalOfEightBits(TensorOps ops) {
        return ops instanceof NdArrayTensorOps
                ? Optional.of(
                        "Backend pytorch keeps keys and values in float32 only; int8 was asked for")
                : Optional.empty();
    }

    @Test(dataProvider = "backends")
    public void convertsOnTheWayIn(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = newManager()) {
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
    public void copiesRowsAsTheirBytes(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = newManager()) {
            float[] values = {1, -2, 3.5f, 4, 5, 6, 7, 8, -9, 10, 11, 12};
            NDArray array = Backends.array(manager, ops, type, values, 3, 2, 2);
            int managed = manager.getManagedArrays().size();
            int bytes = 4 * type.bytes();
            byte[] rows = new byte[1 + 2 * bytes];
            Assert.assertEquals(ops.readRow(array, 2, rows, 1), 1 + bytes);
            Assert.assertEquals(ops.readRow(array, 0, rows, 1 + bytes), 1 + 2 * bytes);
            ByteBuffer floats = ByteBuffer.allocate(8 * Float.BYTES);
            ElementConverter.convert(
                    ByteBuffer.wrap(rows, 1, 2 * bytes), type, floats, ElementType.FLOAT32);
            float[] found = new float[8];
            floats.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(found);
            Assert.assertEquals(found, new float[] {-9, 10, 11, 12, 1, -2, 3.5f, 4});
            Assert.assertEquals(ops.writeRow(array, 1, rows, 1 + bytes), 1 + 2 * bytes);
            Assert.assertEquals(manager.getManagedArrays().size(), managed, "arrays are left");
            float[] expected = {1, -2, 3.5f, 4, 1, -2, 3.5f, 4, -9, 10, 11, 12};
            Assert.assertEquals(Backends.values(ops, array), expected);
            for (long row : new long[] {-1, 3}) {
                Assert.assertThrows(
                        IllegalArgumentException.class, () -> ops.readRow(array, row, rows, 0));
                Assert.assertThrows(
                        IllegalArgumentException.class, () -> ops.writeRow(array, row, rows, 0));
            }
        }
    }

    @Test(dataProvider = "backends")
    public void convertedArrayHasMemoryOfItsOwn(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = newManager()) {
            NDArray array = Backends.array(manager, ops, type, new float[] {1, 2}, 2);
            NDArray copy = ops.toType(array, type);
            ops.copyRows(copy, 0, ops.zeros(manager, new Shape(2), type));
            Assert.assertEquals(Backends.values(ops, array), new float[] {1, 2});
        }
    }

    @Test
    public void uploadsMoreThanOneStagingBuffer() {
        TensorOps ops = LoraBackends.choose("pytorch").getTensorOps(ElementType.FLOAT32);
        try (NDManager manager = newManager()) {
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
        try (NDManager manager = newManager()) {
            NDArray weight =
                    Backends.array(manager, ops, type, new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
            NDArray rows = ops.embedding(weight, manager.create(new long[] {2, 0, 2}));
            Assert.assertEquals(Backends.values(ops, rows), new float[] {5, 6, 1, 2, 5, 6});
        }
    }

    @Test(dataProvider = "backends")
    public void multiplies(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = newManager()) {
            NDArray x = Backends.array(manager, ops, type, new float[] {1, 2, 3, -1, 0, 1}, 2, 3);
            NDArray w = Backends.array(manager, ops, type, new float[] {1, 0, 2, 0, 1, 0}, 2, 3);
            Assert.assertEquals(Backends.values(ops, ops.linear(x, w)), new float[] {7, 2, 1, 0});
        }
    }

    @Test(dataProvider = "backends")
    public void multipliesWithSeveralWeights(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(9);
        try (NDManager manager = newManager()) {
            for (int rows : new int[] {1, 6, 100}) {
                float[] values = Backends.randomValues(random, rows * 40L, 1);
                NDArray x = Backends.array(manager, ops, type, values, rows, 40);
                NDArray[] weights = new NDArray[3];
                for (int i = 0; i < 3; ++i) {
                    float[] weight = Backends.randomValues(random, (20L + i) * 40, 1);
                    weights[i] = Backends.array(manager, ops, type, weight, 20 + i, 40);
                }
                NDArray[] all = ops.linearAll(x, weights);
                for (int i = 0; i < 3; ++i) {
                    Assert.assertEquals(all[i].getShape(), new Shape(rows, 20 + i));
                    float[] alone = Backends.values(ops, ops.linear(x, weights[i]));
                    float[] together = Backends.values(ops, all[i]);
                    for (int j = 0; j < alone.length; ++j) {
                        assertClose(together[j], alone[j], type, 1);
                    }
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void normalises(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(5);
        float[] x = Backends.randomValues(random, 5 * 33, 2);
        float[] weight = Backends.randomValues(random, 33, 1);
        double epsilon = 1e-5;
        try (NDManager manager = newManager()) {
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
    public void addsInPlaceBeforeItNormalises(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(8);
        try (NDManager manager = newManager()) {
            float[] values = Backends.randomValues(random, 3 * 20, 2);
            NDArray x = Backends.array(manager, ops, type, values, 3, 20);
            NDArray same = Backends.array(manager, ops, type, values, 3, 20);
            NDArray delta =
                    Backends.array(
                            manager, ops, type, Backends.randomValues(random, 3 * 20, 1), 3, 20);
            NDArray weight =
                    Backends.array(manager, ops, type, Backends.randomValues(random, 20, 1), 20);
            NDArray y = ops.addRmsNorm(x, delta, weight, 1e-5);
            NDArray sum = same.add(delta);
            Assert.assertEquals(Backends.values(ops, x), Backends.values(ops, sum));
            Assert.assertEquals(
                    Backends.values(ops, y), Backends.values(ops, ops.rmsNorm(sum, weight, 1e-5)));
        }
    }

    @Test(dataProvider = "backends")
    public void findsTheGreatestOfEachRow(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        float nan = Float.NaN;
        float infinity = Float.POSITIVE_INFINITY;
        float[] x = {1, 3, 3, -infinity, 2, 0, 1, nan, 1, infinity, 0, 1, 0, 0, 0};
        try (NDManager manager = newManager()) {
            NDArray rows = manager.create(x, new Shape(5, 3));
            Assert.assertEquals(ops.argmaxRows(rows), new int[] {1, 1, -1, -1, 0});
            NDArray none = manager.full(new Shape(1, 4), Float.NEGATIVE_INFINITY);
            Assert.assertEquals(ops.argmaxRows(none), new int[] {-2});
        }
    }

    @Test(dataProvider = "backends")
    public void gates(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        float[] gate = {-3, -0.5f, 0, 0.25f, 4};
        float[] up = {1, 2, 3, 4, 5};
        try (NDManager manager = newManager()) {
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

    /*
     * Steps of sequences of several lengths, whose pages lie mixed: queries and keys are rotated,
     * keys and values go to their pages, and rows attend to what their own sequence wrote in this
     * step and those before.
     */
    @Test(dataProvider = "backends")
    public void attendsOverPages(LoraBackend backend, ElementType type) {
        Random random = new Random(7);
        for (int window : new int[] {0, 5}) {
            PagedCase paged =
                    new PagedCase(newManager(), backend.getTensorOps(type), type, window, false);
            paged.step(random, new int[] {20, 1, 3});
            paged.step(random, new int[] {1, 1, 16});
            paged.step(random, new int[] {2, 33, 1});
            paged.close();
        }
    }

    @Test(dataProvider = "backends")
    public void attendsOverPagesInEightBits(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        Optional<String> refusal = refusalOfEightBits(ops);
        if (refusal.isPresent()) {
            LoraBackendException e =
                    Assert.expectThrows(
                            LoraBackendException.class,
                            () -> new PagedCase(newManager(), ops, type, 0, true));
            Assert.assertEquals(e.getMessage(), refusal.get());
            return;
        }
        Random random = new Random(8);
        for (int window : new int[] {0, 5}) {
            PagedCase paged = new PagedCase(newManager(), ops, type, window, true);
            paged.step(random, new int[] {20, 1, 3});
            paged.step(random, new int[] {1, 1, 16});
            paged.step(random, new int[] {2, 33, 1});
            byte[] page = new byte[PagedCase.KEY_HEADS * (PagedCase.DIM + 2) * 16];
            Assert.assertEquals(ops.readRow(paged.pages.keys(), 7, page, 0), page.length);
            Assert.assertEquals(ops.writeRow(paged.pages.keys(), 2, page, 0), page.length);
            byte[] copy = new byte[page.length];
            Assert.assertEquals(ops.readRow(paged.pages.keys(), 2, copy, 0), page.length);
            Assert.assertEquals(copy, page);
            paged.close();
        }
    }

    /** Three sequences beside what they should see, in plain arrays. */
    private static final class PagedCase implements AutoCloseable {

        private static final int HEADS = 4;
        private static final int KEY_HEADS = 2;
        private static final int DIM = 8;
        private static final int POSITIONS = 16;
        private static final int[][] PAGES = {{7, 2, 0}, {5, 1, 3}, {4, 6, 8}};

        private final NDManager manager;
        private final TensorOps ops;
        private final ElementType type;
        private final int window;
        private final boolean int8;
        private final double scale = 1 / Math.sqrt(DIM);
        private final KvPages pages;
        private final float[][] keys = new float[3][0];
        private final float[][] values = new float[3][0];

        PagedCase(NDManager manager, TensorOps ops, ElementType type, int window, boolean int8) {
            this.manager = manager;
            this.ops = ops;
            this.type = type;
            this.window = window;
            this.int8 = int8;
            pages =
                    int8
                            ? ops.int8Pages(manager, 9, KEY_HEADS, DIM, POSITIONS)
                            : new KvPages(
                                    ops.empty(
                                            manager, new Shape(9, KEY_HEADS, DIM, POSITIONS), type),
                                    ops.empty(
                                            manager,
                                            new Shape(9, KEY_HEADS, POSITIONS, DIM),
                                            type));
        }

        void step(Random random, int[] counts) {
            int rows = counts[0] + counts[1] + counts[2];
            float[] q = Backends.randomValues(random, (long) rows * HEADS * DIM, 1);
            float[] k = Backends.randomValues(random, (long) rows * KEY_HEADS * DIM, 1);
            float[] v = Backends.randomValues(random, (long) rows * KEY_HEADS * DIM, 1);
            float[] cos = new float[rows * DIM / 2];
            float[] sin = new float[rows * DIM / 2];
            for (int i = 0; i < cos.length; ++i) {
                cos[i] = (float) Math.cos(i);
                sin[i] = (float) Math.sin(i);
            }
            PagedBatch.Builder builder = PagedBatch.builder(POSITIONS);
            for (int s = 0; s < 3; ++s) {
                builder.addSequence(keys[s].length / (KEY_HEADS * DIM), counts[s], PAGES[s]);
            }
            PagedBatch batch = builder.build(manager);
            NDArray queries = Backends.array(manager, ops, type, q, rows, HEADS, DIM);
            ops.rotateAndWrite(
                    queries,
                    Backends.array(manager, ops, type, k, rows, KEY_HEADS, DIM),
                    Backends.array(manager, ops, type, v, rows, KEY_HEADS, DIM),
                    manager.create(cos, new Shape(rows, DIM / 2)),
                    manager.create(sin, new Shape(rows, DIM / 2)),
                    pages,
                    batch);
            rotate(q, HEADS, cos, sin);
            rotate(k, KEY_HEADS, cos, sin);
            float[] rotated = Backends.values(ops, queries);
            for (int i = 0; i < q.length; ++i) {
                assertClose(rotated[i], q[i], type, 1);
            }
            NDArray result = ops.pagedAttention(queries, pages, batch, window, scale);
            Assert.assertEquals(result.getShape(), new Shape(rows, HEADS, DIM));
            float[] actual = Backends.values(ops, result);
            int row = 0;
            for (int s = 0; s < 3; ++s) {
                for (int i = 0; i < counts[s]; ++i, ++row) {
                    keys[s] = appended(keys[s], k, row);
                    values[s] = appended(values[s], v, row);
                    for (int h = 0; h < HEADS; ++h) {
                        check(actual, q, row, h, s);
                    }
                }
            }
        }

        private static void rotate(float[] x, int heads, float[] cos, float[] sin) {
            int half = DIM / 2;
            for (int i = 0; i < x.length / DIM; ++i) {
                for (int d = 0; d < half; ++d) {
                    int angle = i / heads * half + d;
                    float first = x[i * DIM + d];
                    float second = x[i * DIM + d + half];
                    x[i * DIM + d] = first * cos[angle] - second * sin[angle];
                    x[i * DIM + d + half] = second * cos[angle] + first * sin[angle];
                }
            }
        }

        private static float[] appended(float[] before, float[] rows, int row) {
            int size = KEY_HEADS * DIM;
            float[] result = Arrays.copyOf(before, before.length + size);
            System.arraycopy(rows, row * size, result, before.length, size);
            return result;
        }

        private void check(float[] actual, float[] q, int row, int head, int s) {
            int count = keys[s].length / (KEY_HEADS * DIM);
            int oldest = window == 0 ? 0 : Math.max(0, count - window);
            int group = head / (HEADS / KEY_HEADS);
            double[] expected = new double[DIM];
            double sum = 0;
            for (int i = oldest; i < count; ++i) {
                double dot = 0;
                for (int d = 0; d < DIM; ++d) {
                    float query = q[(row * HEADS + head) * DIM + d];
                    dot += (double) query * keys[s][(i * KEY_HEADS + group) * DIM + d];
                }
                double weight = Math.exp(dot * scale);
                sum += weight;
                for (int d = 0; d < DIM; ++d) {
                    expected[d] += weight * values[s][(i * KEY_HEADS + group) * DIM + d];
                }
            }
            for (int d = 0; d < DIM; ++d) {
                if (int8) {
                    // numbers up to 3 or so are off by half of a 127th of that, and scores by about
                    // as much; attention_test.cc has the exact sums
                    Assert.assertEquals(
                            actual[(row * HEADS + head) * DIM + d], expected[d] / sum, 0.08);
                    continue;
                }
                // rotated queries and keys are rounded, and with them the scores' differences
                assertClose(actual[(row * HEADS + head) * DIM + d], expected[d] / sum, type, 6);
            }
        }

        /** {@inheritDoc} */
        @Override
        public void close() {
            manager.close();
        }
    }

    @Test(dataProvider = "backends")
    public void copiesAndViewsRows(LoraBackend backend, ElementType type) {
        TensorOps ops = backend.getTensorOps(type);
        try (NDManager manager = newManager()) {
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
