/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.op.AdapterType;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The demo's adapters, all in one step, against what PEFT answers to each alone. */
public class DemoGoldensTest {

    private static final Logger logger = LoggerFactory.getLogger(DemoGoldensTest.class);

    private static final Path DEMO = Path.of("..", "examples", "demo");

    /** Float32 sums of other orders differ by a tenth of this. */
    private static final double TOLERANCE = 1e-4;

    @DataProvider
    public Object[][] backends() {
        return new Object[][] {{"cpu"}, {"pytorch"}};
    }

    @Test(dataProvider = "backends")
    public void everyAdapterInOneStepAnswersAsAlone(String backend) throws Exception {
        Map<String, Golden> goldens = goldens();
        try (TestModels.Loaded model =
                TestModels.load(DEMO.resolve("base"), backend, ElementType.FLOAT32)) {
            float[] logits = oneStep(model, goldens);
            int from = 0;
            for (int row = 0; row < rows(goldens); ++row) {
                for (Map.Entry<String, Golden> golden : goldens.entrySet()) {
                    from += assertRow(backend + ' ' + golden.getKey(), golden, row, logits, from);
                }
            }
            assertEquals(from, logits.length);
        }
    }

    @Test(dataProvider = "backends")
    public void adaptersInEightBitsKeepTheTopToken(String backend) throws Exception {
        Map<String, Golden> goldens = goldens();
        try (TestModels.Loaded model =
                TestModels.load(DEMO.resolve("base"), backend, ElementType.FLOAT32)) {
            model.block().getLoraContext().setAdapterType(AdapterType.INT8);
            float[] logits = oneStep(model, goldens);
            int from = 0;
            int positions = 0;
            int same = 0;
            double largest = 0;
            for (int row = 0; row < rows(goldens); ++row) {
                for (Map.Entry<String, Golden> entry : goldens.entrySet()) {
                    Golden golden = entry.getValue();
                    int size = golden.length() * golden.vocabSize();
                    float[] actual = Arrays.copyOfRange(logits, from, from + size);
                    float[] expected =
                            Arrays.copyOfRange(golden.logits(), row * size, (row + 1) * size);
                    from += size;
                    if (!"base".equals(entry.getKey())) {
                        int[] tops = Golden.top(actual, golden.vocabSize());
                        int[] expectedTops = Golden.top(expected, golden.vocabSize());
                        for (int i = 0; i < tops.length; ++i) {
                            same += tops[i] == expectedTops[i] ? 1 : 0;
                        }
                        positions += tops.length;
                        largest = Math.max(largest, TestModels.maxDifference(actual, expected));
                    }
                }
            }
            logger.info(
                    "{}: the top token of {} of {} positions, logits within {}",
                    backend,
                    same,
                    positions,
                    largest);
            assertTrue(same >= 0.99 * positions, same + " of " + positions);
            assertTrue(largest > TOLERANCE, "the adapters were rounded");
        }
    }

    private static int rows(Map<String, Golden> goldens) {
        return goldens.get("base").batch();
    }

    /** Computes the logits of every row of every golden, row by row, in one step. */
    private static float[] oneStep(TestModels.Loaded model, Map<String, Golden> goldens)
            throws Exception {
        List<AutoCloseable> open = new ArrayList<>();
        ForwardStep.Builder step = ForwardStep.builder().optAllPositions(true);
        // row by row, so that adapters alternate as requests do
        for (int row = 0; row < rows(goldens); ++row) {
            for (Map.Entry<String, Golden> golden : goldens.entrySet()) {
                String adapter = golden.getKey();
                int slot = BatchPlan.BASE;
                if (!"base".equals(adapter)) {
                    if (row == 0) {
                        model.block().getAdapters().register(adapter, DEMO.resolve(adapter));
                    }
                    AdapterLease lease = model.block().getAdapters().acquire(adapter);
                    open.add(lease);
                    slot = lease.getSlot();
                }
                KvCache cache = model.block().newKvCache(model.manager());
                open.add(cache);
                step.addSequence(cache, slot, golden.getValue().row(row));
            }
        }
        float[] logits = model.logits(step.build());
        for (AutoCloseable resource : open) {
            resource.close();
        }
        return logits;
    }

    private static int assertRow(
            String what, Map.Entry<String, Golden> entry, int row, float[] logits, int from) {
        Golden golden = entry.getValue();
        int size = golden.length() * golden.vocabSize();
        float[] actual = Arrays.copyOfRange(logits, from, from + size);
        float[] expected = Arrays.copyOfRange(golden.logits(), row * size, (row + 1) * size);
        double difference = TestModels.maxDifference(actual, expected);
        logger.info("{} {}: {}", what, row, difference);
        assertTrue(difference <= TOLERANCE, what + ": largest difference " + difference);
        assertEquals(
                Golden.top(actual, golden.vocabSize()), Golden.top(expected, golden.vocabSize()));
        return size;
    }

    private static Map<String, Golden> goldens() throws Exception {
        Path folder = TestModels.folder("demo");
        if (!Files.isDirectory(folder) || !Files.isDirectory(DEMO.resolve("base"))) {
            throw new SkipException("The demo model is not in this checkout");
        }
        Map<String, Golden> goldens = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> logits =
                    files.filter(file -> file.toString().endsWith(".safetensors"))
                            .sorted()
                            .toList();
            for (Path file : logits) {
                String name = String.valueOf(file.getFileName()).replace(".safetensors", "");
                goldens.put(name, Golden.read(file));
            }
        }
        assertTrue(goldens.size() > 1);
        return goldens;
    }
}
