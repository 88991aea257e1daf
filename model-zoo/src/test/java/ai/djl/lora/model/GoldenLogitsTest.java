/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Compares every architecture with transformers and PEFT, through DJL's own call. */
public class GoldenLogitsTest {

    private static final Logger logger = LoggerFactory.getLogger(GoldenLogitsTest.class);

    /** Logits are about 1; float32 sums of other orders differ by far less than this. */
    private static final double TOLERANCE = 1e-4;

    /** bfloat16 keeps 8 bits, 0.4 %; a few layers' roundings add up to less than this. */
    private static final double BF16_TOLERANCE = 0.02;

    @DataProvider
    public Object[][] goldens() {
        List<Object[]> cases = new ArrayList<>();
        for (String backend : TestModels.BACKENDS) {
            for (String name : TestModels.NAMES) {
                cases.add(new Object[] {backend, name, ""});
                if (Files.exists(TestModels.folder(name).resolve("adapter"))) {
                    cases.add(new Object[] {backend, name, "adapter"});
                }
            }
        }
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "goldens")
    public void float32LogitsAreThoseOfTransformers(String backend, String name, String adapter) {
        Golden golden = golden(name, adapter);
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            float[] logits = logits(model, golden, TestModels.folder(name), adapter);
            double difference = TestModels.maxDifference(logits, golden.logits());
            logger.info("{} {} {}: {}", backend, name, adapter, difference);
            assertTrue(difference <= TOLERANCE, "largest difference " + difference);
            assertEquals(
                    Golden.top(logits, golden.vocabSize()),
                    Golden.top(golden.logits(), golden.vocabSize()));
        }
    }

    @DataProvider
    public Object[][] bf16Goldens() {
        List<Object[]> cases = new ArrayList<>();
        for (Object[] golden : goldens()) {
            if ("cpu".equals(golden[0])) {
                cases.add(new Object[] {golden[1], golden[2]});
            }
        }
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "bf16Goldens")
    public void bfloat16LogitsAreCloseToThoseOfTransformers(String name, String adapter) {
        Golden golden = golden(name, adapter);
        Path folder = TestModels.model(name);
        try (TestModels.Loaded model = TestModels.load(folder, "cpu", ElementType.BFLOAT16)) {
            float[] logits = logits(model, golden, TestModels.folder(name), adapter);
            double error = rms(logits, golden.logits()) / deviation(golden.logits());
            logger.info("cpu bfloat16 {} {}: {}", name, adapter, error);
            assertTrue(error <= BF16_TOLERANCE, "RMS error over deviation " + error);
        }
    }

    private static Golden golden(String name, String adapter) {
        String file = adapter.isEmpty() ? "golden.safetensors" : "golden-adapter.safetensors";
        return Golden.read(TestModels.folder(name).resolve(file));
    }

    private static float[] logits(
            TestModels.Loaded model, Golden golden, Path folder, String adapter) {
        PairList<String, Object> params = new PairList<>();
        if (adapter.isEmpty()) {
            return forward(model, golden, params);
        }
        model.block().getAdapters().register(adapter, folder.resolve(adapter));
        try (AdapterLease lease = model.block().getAdapters().acquire(adapter)) {
            params.add(LoraLinear.PLAN, BatchPlan.uniform(lease.getSlot(), golden.batch()));
            return forward(model, golden, params);
        }
    }

    private static float[] forward(
            TestModels.Loaded model, Golden golden, PairList<String, Object> params) {
        try (NDManager manager = model.manager().newSubManager()) {
            NDArray ids = manager.create(golden.ids(), new Shape(golden.batch(), golden.length()));
            NDArray logits =
                    model.block()
                            .forward(
                                    new ParameterStore(manager, false),
                                    new NDList(ids),
                                    false,
                                    params)
                            .singletonOrThrow();
            assertEquals(
                    logits.getShape(),
                    new Shape(golden.batch(), golden.length(), golden.vocabSize()));
            return logits.toFloatArray();
        }
    }

    private static double rms(float[] actual, float[] expected) {
        double sum = 0;
        for (int i = 0; i < expected.length; ++i) {
            double difference = (double) actual[i] - expected[i];
            sum += difference * difference;
        }
        return Math.sqrt(sum / expected.length);
    }

    private static double deviation(float[] values) {
        double sum = 0;
        double squares = 0;
        for (float value : values) {
            sum += value;
            squares += (double) value * value;
        }
        double mean = sum / values.length;
        return Math.sqrt(squares / values.length - mean * mean);
    }
}
