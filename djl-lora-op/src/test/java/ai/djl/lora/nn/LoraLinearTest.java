/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.Backends;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.ResolvedPlan;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.NormalInitializer;
import ai.djl.util.PairList;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class LoraLinearTest {

    @DataProvider
    public Object[][] float32Backends() {
        return Arrays.stream(Backends.withTypes())
                .filter(pair -> pair[1] == ElementType.FLOAT32)
                .map(pair -> new Object[] {pair[0]})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "float32Backends")
    public void adaptsALinearOfDjl(LoraBackend backend) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Linear linear = Linear.builder().setUnits(3).build();
            linear.setInitializer(new NormalInitializer(1f), Parameter.Type.WEIGHT);
            linear.setInitializer(new NormalInitializer(1f), Parameter.Type.BIAS);
            linear.initialize(manager, DataType.FLOAT32, new Shape(1, 2));
            try (LoraContext context = new LoraContext(backend, ElementType.FLOAT32, manager)) {
                LoraLinear adapted = LoraLinear.of(context, "proj", linear);
                int slot = context.getTable().put(rankOne());
                NDArray x =
                        manager.create(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, new Shape(2, 2, 2));
                ParameterStore parameters = new ParameterStore(manager, false);
                NDArray base = linear.forward(parameters, new NDList(x), false).singletonOrThrow();

                NDArray plain =
                        adapted.forward(parameters, new NDList(x), false).singletonOrThrow();
                Assert.assertEquals(plain.getShape(), new Shape(2, 2, 3));
                // the sums have two terms: nothing but the order of adding the bias can differ
                Assert.assertTrue(plain.allClose(base, 1e-6, 1e-6, false));

                PairList<String, Object> params = new PairList<>();
                params.add(LoraLinear.PLAN, BatchPlan.ofRows(slot, BatchPlan.BASE).repeatEach(2));
                NDArray mixed =
                        adapted.forward(parameters, new NDList(x), false, params)
                                .singletonOrThrow();
                // A = [1, 1], B = [1, 10, 100], scale 0.5: the first sequence's sums are 3 and 7
                NDArray delta =
                        manager.create(
                                new float[] {1.5f, 15, 150, 3.5f, 35, 350, 0, 0, 0, 0, 0, 0},
                                new Shape(2, 2, 3));
                Assert.assertTrue(mixed.allClose(base.add(delta), 1e-5, 1e-5, false));
                Assert.assertEquals(
                        adapted.getOutputShapes(new Shape[] {new Shape(7, 2)})[0], new Shape(7, 3));
                Assert.assertThrows(
                        IllegalStateException.class,
                        () -> adapted.forward(parameters, new NDList(x), true));
            }
        }
    }

    @DataProvider
    public Object[][] backendsAndTypes() {
        return Backends.withTypes();
    }

    /*
     * W = [1 2; 3 4; 5 6], bias [1 1 1], x = [1 10] in every row. Its base product is [21 43 65].
     * All numbers are small integers, which every type holds exactly.
     */
    @Test(dataProvider = "backendsAndTypes")
    public void rowsUseWhatTheirAdaptersReplace(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            NDArray weight = array(context, new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
            NDArray bias = array(context, new float[] {1, 1, 1}, 3);
            LoraLinear first = new LoraLinear(context, "first", weight, bias);
            LoraLinear second = new LoraLinear(context, "second", weight, null);
            int scaled = put(context, extras -> extras.addInputScale(0, row(context, 2, -1)));
            int replaced =
                    put(
                            context,
                            extras ->
                                    extras.addWeight(
                                            0,
                                            array(context, new float[] {0, 1, 1, 0, 1, 1}, 3, 2)));
            int someRows =
                    put(
                            context,
                            extras ->
                                    extras.addWeightRows(
                                            0,
                                            new AdapterExtras.ReplacedRows(
                                                    new int[] {0, 2},
                                                    array(
                                                            context,
                                                            new float[] {1, 0, 0, 3},
                                                            2,
                                                            2))));
            int plain = context.getTable().put(nothing(type, 2));
            int base = BatchPlan.BASE;
            BatchPlan plan = BatchPlan.ofRows(base, scaled, replaced, someRows, plain, base);
            float[] x = new float[12];
            float[][] expected = {
                {22, 44, 66}, {-17, -33, -49}, {11, 2, 12}, {2, 44, 31}, {22, 44, 66}, {22, 44, 66}
            };
            for (int i = 0; i < x.length; i += 2) {
                x[i] = 1;
                x[i + 1] = 10;
            }
            NDArray input = array(context, x, 6, 2);
            NDArray[] group = LoraLinear.forwardAll(input, context.resolve(plan), first, second);
            float[] alone = Backends.values(context.getOps(), first.forward(input, plan));
            Assert.assertEquals(Backends.values(context.getOps(), group[0]), alone, 0);
            for (int row = 0; row < expected.length; ++row) {
                Assert.assertEquals(
                        Arrays.copyOfRange(alone, 3 * row, 3 * row + 3), expected[row], 0);
                Assert.assertEquals(
                        Backends.values(context.getOps(), group[1].get(row)),
                        new float[] {21, 43, 65},
                        0);
            }
            Assert.assertEquals(
                    Backends.values(context.getOps(), input), x, 0, "the input is another's too");

            BatchPlan plainRows = BatchPlan.ofRows(base, plain, plain, plain, base, plain);
            for (BatchPlan each : List.of(plan, plainRows, BatchPlan.uniform(base, 6))) {
                ResolvedPlan resolved = context.resolve(each);
                NDArray[] both = LoraLinear.forwardAll(input, resolved, first, second);
                NDArray gated = LoraLinear.forwardGated(input, resolved, first, second);
                Assert.assertEquals(
                        Backends.values(context.getOps(), gated),
                        Backends.values(
                                context.getOps(), context.getOps().siluMul(both[0], both[1])),
                        0);
            }

            context.removeExtras(scaled);
            Assert.assertEquals(
                    Backends.values(
                            context.getOps(), first.forward(input, plan).get("1:2, :").flatten()),
                    new float[] {22, 44, 66},
                    0);
        }
    }

    /* Half of a replaced weight is no weight: such an adapter is used whole or not at all. */
    @Test(dataProvider = "float32Backends")
    public void adaptersThatReplaceCannotBeWeighted(LoraBackend backend) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, ElementType.FLOAT32, manager)) {
            LoraLinear layer = new LoraLinear(context, "proj", manager.ones(new Shape(3, 2)), null);
            int slot = put(context, extras -> extras.addInputScale(0, row(context, 2, 2)));
            int other = context.getTable().put(nothing(ElementType.FLOAT32, 1));
            NDArray x = manager.ones(new Shape(1, 2));
            for (AdapterMix mix :
                    List.of(
                            AdapterMix.stack(new int[] {slot}, new float[] {0.5f}),
                            AdapterMix.stack(new int[] {other, slot}, new float[] {1, 1}))) {
                IllegalArgumentException e =
                        Assert.expectThrows(
                                IllegalArgumentException.class,
                                () -> layer.forward(x, BatchPlan.ofMixes(List.of(mix))));
                Assert.assertTrue(e.getMessage().startsWith("The adapter in slot " + slot), "" + e);
            }
        }
    }

    private static int put(LoraContext context, UnaryOperator<AdapterExtras.Builder> extras) {
        int slot = context.getTable().put(nothing(context.getType(), context.getModules().size()));
        NDManager manager = context.getManager().newSubManager();
        context.putExtras(slot, extras.apply(AdapterExtras.builder(manager)).build());
        return slot;
    }

    /** An adapter with no part in the operator. */
    private static PackedAdapter nothing(ElementType type, int modules) {
        return new PackedAdapter(type, new byte[0], new PackedAdapter.Entry[modules]);
    }

    private static NDArray row(LoraContext context, float... values) {
        return array(context, values, values.length);
    }

    private static NDArray array(LoraContext context, float[] values, long... shape) {
        return Backends.array(
                context.getManager(), context.getOps(), context.getType(), values, shape);
    }

    @Test(dataProvider = "float32Backends")
    public void modulesAreFixedOnceTheTableIsInUse(LoraBackend backend) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, ElementType.FLOAT32, manager)) {
            NDArray weight = manager.ones(new Shape(3, 2));
            new LoraLinear(context, "a", weight, null);
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> new LoraLinear(context, "a", weight, null));
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> new LoraLinear(context, "b", weight, manager.ones(new Shape(2))));
            context.getTable();
            Assert.assertThrows(
                    IllegalStateException.class, () -> new LoraLinear(context, "c", weight, null));
        }
    }

    private static PackedAdapter rankOne() {
        ByteBuffer data = ByteBuffer.allocate(20).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : new float[] {1, 1, 1, 10, 100}) {
            data.putFloat(value);
        }
        PackedAdapter.Entry[] entries = {new PackedAdapter.Entry(1, 0.5f, 0, 2)};
        return new PackedAdapter(ElementType.FLOAT32, data.array(), entries);
    }
}
