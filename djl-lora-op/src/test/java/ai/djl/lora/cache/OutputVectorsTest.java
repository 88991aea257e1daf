/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.Backends;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Scales of outputs and biases against numbers worked out by hand. */
public class OutputVectorsTest {

    @DataProvider
    public Object[][] backendsAndTypes() {
        return Backends.withTypes();
    }

    /*
     * W = [1 4; 6 8], s = 0.5, A = [2 0], B = [2; 0], so W + s B A = [3 4; 6 8], whose rows have
     * the norms 5 and 10. With m = [10 5] the outputs are scaled by [2 0.5]. For x = [1 1] and the
     * bias [1 -1] that gives [2 * 7 + 1, 0.5 * 14 - 1] = [15 6]; the base gives [5 14] + [1 -1].
     * Every type holds all of these numbers exactly.
     */
    @Test(dataProvider = "backendsAndTypes")
    public void doraByHand(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            NDArray weight = array(context, new float[] {1, 4, 6, 8}, 2, 2);
            NDArray bias = array(context, new float[] {1, -1}, 2);
            LoraLinear layer = new LoraLinear(context, "proj", weight, bias);
            LinearChange dora = dora(0.5f, new float[] {2, 0}, new float[] {2, 0}, 10, 5);

            int arrays = manager.getManagedArrays().size();
            OutputVectors vectors = new OutputVectors(context);
            float[] scale = vectors.outScale(layer.getModule(), dora);
            Assert.assertEquals(scale, new float[] {2, 0.5f});
            Assert.assertNull(vectors.bias(layer.getModule(), dora), "the layer's own stays");
            Assert.assertEquals(manager.getManagedArrays().size(), arrays);

            PackedAdapter packed =
                    new PackedAdapter(
                            type,
                            bytes(type, 2, 0, 2, 0, scale[0], scale[1]),
                            new PackedAdapter.Entry[] {
                                new PackedAdapter.Entry(1, 0.5f, 0, 2, 4, PackedAdapter.ABSENT)
                            });
            int slot = context.getTable().put(packed);
            NDArray x = array(context, new float[] {1, 1, 1, 1}, 2, 2);
            NDArray y = layer.forward(x, BatchPlan.ofRows(slot, BatchPlan.BASE));
            Assert.assertEquals(
                    Backends.values(context.getOps(), y), new float[] {15, 6, 6, 13}, 0);
        }
    }

    /* The same, with the layer's weight replaced by the one that has the norms 5 and 10 above. */
    @Test(dataProvider = "backendsAndTypes")
    public void normsAreThoseOfAReplacedWeight(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            NDArray weight = array(context, new float[] {7, 7, 7, 7}, 2, 2);
            LoraModule module = context.addModule("proj", weight, null);
            LinearChange dora = dora(0.5f, new float[] {2, 0}, new float[] {2, 0}, 10, 5);
            LinearChange change =
                    new LinearChange(
                            "DoRA",
                            dora.product(),
                            dora.magnitude(),
                            null,
                            null,
                            null,
                            null,
                            HostTensor.of(new float[] {1, 4, 6, 8}, 2, 2));
            Assert.assertEquals(
                    new OutputVectors(context).outScale(module, change), new float[] {2, 0.5f});
        }
    }

    /* IA3 with l = [2 3] scales the bias [1 -1] too; [5 5] added to it first makes [12 12]. */
    @Test(dataProvider = "backendsAndTypes")
    public void biasesByHand(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            NDArray weight = array(context, new float[] {1, 4, 6, 8}, 2, 2);
            LoraModule with =
                    context.addModule("with", weight, array(context, new float[] {1, -1}, 2));
            LoraModule without = context.addModule("without", weight, null);
            OutputVectors vectors = new OutputVectors(context);
            HostTensor scale = HostTensor.of(new float[] {2, 3}, 2);
            HostTensor five = HostTensor.of(new float[] {5, 5}, 2);

            LinearChange ia3 = change(scale, null, null);
            Assert.assertEquals(vectors.outScale(with, ia3), new float[] {2, 3});
            Assert.assertEquals(vectors.bias(with, ia3), new float[] {2, -3});
            Assert.assertNull(vectors.bias(without, ia3));
            Assert.assertEquals(
                    vectors.bias(with, change(scale, null, five)), new float[] {12, 12});
            Assert.assertEquals(vectors.bias(with, change(null, null, five)), new float[] {6, 4});
            Assert.assertEquals(
                    vectors.bias(without, change(null, null, five)), new float[] {5, 5});
            Assert.assertEquals(vectors.bias(with, change(null, five, null)), new float[] {5, 5});
            Assert.assertEquals(
                    vectors.bias(without, change(scale, five, null)), new float[] {10, 15});
        }
    }

    /* More rows than are widened at a time, against a plain loop in float64. */
    @Test(dataProvider = "backendsAndTypes")
    public void chunksMeetWithoutAGap(LoraBackend backend, ElementType type) {
        int out = 1100;
        int in = 2000;
        Random random = new Random(5);
        float[] w = Backends.randomValues(random, (long) out * in, 1);
        float[] a = Backends.randomValues(random, in, 1);
        float[] b = Backends.randomValues(random, out, 1);
        float[] magnitude = Backends.randomValues(random, out, 1);
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            LoraModule module = context.addModule("proj", array(context, w, out, in), null);
            float[] scale =
                    new OutputVectors(context).outScale(module, dora(0.25f, a, b, magnitude));
            for (int o = 0; o < out; ++o) {
                double squares = 0;
                for (int i = 0; i < in; ++i) {
                    double sum = w[o * in + i] + 0.25 * b[o] * a[i];
                    squares += sum * sum;
                }
                double expected = magnitude[o] / Math.sqrt(squares);
                // float32 sums of two terms differ by 6e-8 of themselves, their norm by less
                Assert.assertEquals(scale[o], expected, 1e-6 * Math.abs(expected) + 1e-12);
            }
        }
    }

    private static LinearChange dora(float scale, float[] a, float[] b, float... magnitude) {
        LoraWeights product =
                new LoraWeights(
                        1, scale, HostTensor.of(a, 1, a.length), HostTensor.of(b, b.length, 1));
        HostTensor m = HostTensor.of(magnitude, magnitude.length);
        return new LinearChange("DoRA", product, m, null, null, null, null, null);
    }

    private static LinearChange change(HostTensor outputScale, HostTensor bias, HostTensor shift) {
        return new LinearChange("IA3", null, null, outputScale, null, bias, shift, null);
    }

    private static NDArray array(LoraContext context, float[] values, long... shape) {
        return Backends.array(
                context.getManager(), context.getOps(), context.getType(), values, shape);
    }

    private static byte[] bytes(ElementType type, float... values) {
        ByteBuffer data = ByteBuffer.allocate(values.length * type.bytes());
        ElementConverter.convert(
                ByteBuffer.wrap(HostTensor.of(values, values.length).data()),
                ElementType.FLOAT32,
                data,
                type);
        return data.array();
    }
}
