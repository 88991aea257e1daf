/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.OperatorCandidate;
import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.cli.bench.OperatorData;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Candidates are comparable since they compute the same. */
public class CandidateTest {

    private static final int MODULES = 3;
    private static final int MODULE = 2;

    @BeforeClass
    public void skipWithoutNativeLibrary() {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
    }

    @DataProvider
    public Object[][] candidates() {
        Object[][] candidates = new Object[Candidate.values().length][];
        for (Candidate candidate : Candidate.values()) {
            candidates[candidate.ordinal()] = new Object[] {candidate};
        }
        return candidates;
    }

    @Test(dataProvider = "candidates")
    public void testAgainstDoubles(Candidate candidate) {
        OperatorCase shape = CaseName.parse("2048x96-rmixed-t24-uniform9");
        OperatorData data = new OperatorData(candidate.type());
        TensorOps ops = LoraBackends.choose("cpu").getTensorOps(candidate.type());
        try (NDManager manager = NDManager.newBaseManager(null, "PyTorch");
                OperatorCandidate work = candidate.open(manager, data, shape, MODULES)) {
            float[] x = floats(ops, work.x());
            work.y().subi(work.y());
            work.apply(MODULE);
            float[] y = floats(ops, work.y());

            double[] expected = products(shape, data, x);
            // A bfloat16 number has 8 bits. ATen rounds A x, the product and the sum to it, each by
            // up to 2^-9 of itself, and what A x loses adds up over up to 256 components with
            // either sign. float32 has 24 bits, and sums of 2048 products lose a few of them.
            double tolerance = candidate.type() == ElementType.BFLOAT16 ? 0.015 : 1e-5;
            for (int t = 0; t < shape.tokens(); ++t) {
                double largest = 0;
                for (int i = t * shape.out(); i < (t + 1) * shape.out(); ++i) {
                    largest = Math.max(largest, Math.abs(expected[i]));
                }
                Assert.assertTrue(largest > 1e-4, "row " + t);
                for (int i = t * shape.out(); i < (t + 1) * shape.out(); ++i) {
                    Assert.assertEquals(y[i], expected[i], tolerance * largest, "at " + i);
                }
            }
        }
    }

    private static float[] floats(TensorOps ops, NDArray array) {
        try (NDArray converted = ops.toType(array, ElementType.FLOAT32)) {
            return converted.toFloatArray();
        }
    }

    /** Returns {@code B (A x)} for each row, of the adapter that the plan says. */
    private static double[] products(OperatorCase shape, OperatorData data, float[] x) {
        BatchPlan plan = shape.plan();
        double[] products = new double[shape.tokens() * shape.out()];
        for (int s = 0; s < plan.segments(); ++s) {
            int slot = (int) plan.slots()[s];
            PackedAdapter adapter = data.adapter(shape, MODULES, slot);
            PackedAdapter.Entry entry = adapter.entries()[MODULE];
            for (int t = (int) plan.segmentStarts()[s]; t < plan.segmentStarts()[s + 1]; ++t) {
                for (int r = 0; r < entry.rank(); ++r) {
                    double h = 0;
                    for (int i = 0; i < shape.in(); ++i) {
                        double a = element(adapter, entry.offsetA() + (long) r * shape.in() + i);
                        h += a * x[t * shape.in() + i];
                    }
                    for (int o = 0; o < shape.out(); ++o) {
                        double b = element(adapter, entry.offsetB() + (long) o * entry.rank() + r);
                        products[t * shape.out() + o] += b * h;
                    }
                }
            }
        }
        return products;
    }

    private static double element(PackedAdapter adapter, long index) {
        ByteBuffer data = ByteBuffer.wrap(adapter.data()).order(ByteOrder.LITTLE_ENDIAN);
        return adapter.type() == ElementType.FLOAT32
                ? data.getFloat((int) index * Float.BYTES)
                : HalfPrecision.fromBfloat16(data.getShort((int) index * Short.BYTES));
    }
}
