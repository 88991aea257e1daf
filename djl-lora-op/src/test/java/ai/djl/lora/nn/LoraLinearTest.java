/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.op.Backends;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
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
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class LoraLinearTest {

    @DataProvider
    public Object[][] float32Backends() {
        return java.util.Arrays.stream(Backends.withTypes())
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
