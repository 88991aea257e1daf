/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The operator of every backend against a naive one in float64. */
public class OperatorTest {

    @DataProvider
    public Object[][] backends() {
        return Backends.withTypes();
    }

    @Test(dataProvider = "backends")
    public void matchesOracle(LoraBackend backend, ElementType type) {
        Random random = new Random(17);
        for (int round = 0; round < 60; ++round) {
            int in = 1 + random.nextInt(70);
            int out = 1 + random.nextInt(70);
            List<LoraModule> modules =
                    List.of(new LoraModule(0, "other", 3, 5), new LoraModule(1, "layer", in, out));
            try (NDManager manager = NDManager.newBaseManager("PyTorch");
                    AdapterTable table = backend.newTable(manager, modules, type)) {
                List<Adapter> adapters = new ArrayList<>();
                for (int i = 0; i < 1 + random.nextInt(4); ++i) {
                    Adapter adapter = new Adapter(random, in, out);
                    adapters.add(adapter);
                    Assert.assertEquals(table.put(adapter.pack(type)), i);
                }
                int tokens = random.nextInt(12);
                boolean stacks = round % 3 == 0;
                List<AdapterMix> mixes = new ArrayList<>();
                for (int t = 0; t < tokens; ++t) {
                    mixes.add(
                            stacks && random.nextBoolean()
                                    ? randomStack(random, adapters.size())
                                    : AdapterMix.of(random.nextInt(adapters.size() + 1) - 1));
                }
                float[] x = Backends.randomValues(random, (long) tokens * in, 1);
                float[] base = Backends.randomValues(random, (long) tokens * out, 1);
                float[] bias = random.nextBoolean() ? Backends.randomValues(random, out, 1) : null;
                double[] expected = oracle(adapters, mixes, x, base, bias, in, out);

                TensorOps ops = backend.getTensorOps();
                NDArray y =
                        table.apply(
                                1,
                                Backends.array(manager, ops, type, x, tokens, in),
                                Backends.array(manager, ops, type, base, tokens, out),
                                bias == null ? null : Backends.array(manager, ops, type, bias, out),
                                BatchPlan.ofMixes(mixes));
                assertClose(Backends.values(ops, y), expected, type);
            }
        }
    }

    @Test(dataProvider = "backends")
    public void removedSlotIsRefused(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type)) {
            PackedAdapter adapter = small(type);
            int first = table.put(adapter);
            int second = table.put(adapter);
            int[] ranks = {adapter.entries()[0].rank()};
            List<LoraModule> modules = List.of(new LoraModule(0, "m", 2, 2));
            Assert.assertEquals(
                    table.residentBytes(), 2 * backend.adapterBytes(modules, ranks, type));
            table.remove(first);
            Assert.assertThrows(LoraBackendException.class, () -> table.remove(first));
            NDArray x =
                    backend.getTensorOps()
                            .zeros(manager, new ai.djl.ndarray.types.Shape(1, 2), type);
            NDArray base =
                    backend.getTensorOps()
                            .zeros(manager, new ai.djl.ndarray.types.Shape(1, 2), type);
            Assert.assertThrows(
                    RuntimeException.class,
                    () -> table.apply(0, x, base, null, BatchPlan.uniform(first, 1)));
            table.apply(0, x, base, null, BatchPlan.uniform(second, 1));
            Assert.assertEquals(table.put(adapter), first);
        }
    }

    @Test(dataProvider = "backends")
    public void wrongShapesAreNamed(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "proj", 4, 2)), type)) {
            TensorOps ops = backend.getTensorOps();
            NDArray x = ops.zeros(manager, new ai.djl.ndarray.types.Shape(3, 5), type);
            NDArray base = ops.zeros(manager, new ai.djl.ndarray.types.Shape(3, 2), type);
            IllegalArgumentException e =
                    Assert.expectThrows(
                            IllegalArgumentException.class,
                            () -> table.apply(0, x, base, null, BatchPlan.uniform(-1, 3)));
            Assert.assertTrue(e.getMessage().contains("proj [2, 4]"), e.getMessage());
            Assert.assertTrue(e.getMessage().contains("(3, 5)"), e.getMessage());
        }
    }

    @Test(dataProvider = "backends")
    public void adapterOutsideItsBlockIsRefused(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type)) {
            PackedAdapter.Entry[] entries = {new PackedAdapter.Entry(1, 1f, 0, 3)};
            PackedAdapter adapter = new PackedAdapter(type, new byte[4 * type.bytes()], entries);
            Assert.assertThrows(LoraCompatibilityException.class, () -> table.put(adapter));
            PackedAdapter none = new PackedAdapter(type, new byte[0], new PackedAdapter.Entry[2]);
            Assert.assertThrows(LoraCompatibilityException.class, () -> table.put(none));
        }
    }

    @Test(dataProvider = "backends")
    public void nanStaysNan(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type)) {
            int slot = table.put(small(type));
            TensorOps ops = backend.getTensorOps();
            NDArray x = Backends.array(manager, ops, type, new float[] {Float.NaN, 1, 1, 1}, 2, 2);
            NDArray base = Backends.array(manager, ops, type, new float[4], 2, 2);
            float[] y =
                    Backends.values(ops, table.apply(0, x, base, null, BatchPlan.uniform(slot, 2)));
            Assert.assertTrue(Float.isNaN(y[0]) && Float.isNaN(y[1]));
            Assert.assertFalse(Float.isNaN(y[2]) || Float.isNaN(y[3]));
        }
    }

    private static PackedAdapter small(ElementType type) {
        Adapter adapter = new Adapter(new Random(3), 2, 2);
        PackedAdapter packed = adapter.pack(type);
        return new PackedAdapter(
                type, packed.data(), new PackedAdapter.Entry[] {packed.entries()[1]});
    }

    private static AdapterMix randomStack(Random random, int adapters) {
        int[] slots = IntStream.range(0, adapters).filter(slot -> random.nextBoolean()).toArray();
        float[] weights = new float[slots.length];
        for (int i = 0; i < weights.length; ++i) {
            weights[i] = random.nextFloat() * 2 - 1;
        }
        return AdapterMix.stack(slots, weights);
    }

    private static double[] oracle(
            List<Adapter> adapters,
            List<AdapterMix> mixes,
            float[] x,
            float[] base,
            float[] bias,
            int in,
            int out) {
        double[] y = new double[mixes.size() * out];
        for (int t = 0; t < mixes.size(); ++t) {
            for (int o = 0; o < out; ++o) {
                double sum = base[t * out + o] + (bias == null ? 0 : bias[o]);
                for (int e = 0; e < mixes.get(t).size(); ++e) {
                    Adapter adapter = adapters.get(mixes.get(t).slot(e));
                    double weight = mixes.get(t).weight(e);
                    for (int r = 0; r < adapter.rank; ++r) {
                        double inner = 0;
                        for (int i = 0; i < in; ++i) {
                            inner += (double) adapter.a[r * in + i] * x[t * in + i];
                        }
                        sum += weight * adapter.scale * adapter.b[o * adapter.rank + r] * inner;
                    }
                }
                y[t * out + o] = sum;
            }
        }
        return y;
    }

    /*
     * float32: sums of at most 70 products of order 1, then at most 16 of order 10, each rounded to
     * 2^-24: 1e-4 absolute leaves room for any order of summation.
     * bfloat16: the inputs are exact, sums are kept in float32 and the result is rounded once, by at
     * most 2^-8 of its size.
     */
    private static void assertClose(float[] actual, double[] expected, ElementType type) {
        Assert.assertEquals(actual.length, expected.length);
        double relative = type == ElementType.BFLOAT16 ? 1.0 / 256 : 1e-5;
        for (int i = 0; i < actual.length; ++i) {
            double tolerance = 1e-4 + relative * Math.abs(expected[i]);
            Assert.assertEquals(actual[i], expected[i], tolerance, "element " + i);
        }
    }

    /** A random adapter for the module "layer". */
    private static final class Adapter {

        private final int rank;
        private final float scale;
        private final float[] a;
        private final float[] b;

        Adapter(Random random, int in, int out) {
            rank = 1 + random.nextInt(16);
            scale = 0.5f + random.nextFloat();
            a = Backends.randomValues(random, (long) rank * in, 1);
            b = Backends.randomValues(random, (long) rank * out, 1);
        }

        PackedAdapter pack(ElementType type) {
            ByteBuffer data =
                    ByteBuffer.allocate((a.length + b.length) * type.bytes())
                            .order(ByteOrder.LITTLE_ENDIAN);
            for (float[] part : new float[][] {a, b}) {
                for (float value : part) {
                    if (type == ElementType.FLOAT32) {
                        data.putFloat(value);
                    } else {
                        data.putShort(HalfPrecision.toBfloat16(value));
                    }
                }
            }
            PackedAdapter.Entry entry = new PackedAdapter.Entry(rank, scale, 0, a.length);
            return new PackedAdapter(type, data.array(), new PackedAdapter.Entry[] {null, entry});
        }
    }
}
