/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** An adapter that replaces every norm answers as the checkpoint in which they are replaced. */
public class ReplacedNormsTest {

    /** The same float32 sums in another order; logits are about 1. */
    private static final double TOLERANCE = 1e-5;

    @DataProvider
    public Object[][] models() {
        return new Object[][] {
            {"cpu", "llama2", 5}, {"pytorch", "llama2", 5},
            // each layer has norms of queries and keys as well
            {"cpu", "qwen3", 9}, {"pytorch", "qwen3", 9},
        };
    }

    @Test(dataProvider = "models")
    public void rowsUseTheirAdaptersNorms(String backend, String name, int norms)
            throws IOException {
        Path changed = TestModels.copy(TestModels.model(name));
        try {
            Map<String, float[]> weights = changeNorms(changed);
            assertEquals(weights.size(), norms);
            try (TestModels.Loaded model = TestModels.load(name, backend);
                    TestModels.Loaded truth =
                            TestModels.load(changed, backend, ElementType.FLOAT32)) {
                assertEquals(
                        model.block().getLoraContext().getLayout().norms().keySet(),
                        weights.keySet());
                int slot = put(model.block().getLoraContext(), weights);
                int[] tokens = TestModels.tokens(model.block().getConfig(), 6, 31);
                float[] base = logits(model, tokens, BatchPlan.BASE);
                float[] expected = logits(truth, tokens, BatchPlan.BASE);
                assertTrue(TestModels.maxDifference(base, expected) > 1e-2);
                float[] mixed = logits(model, tokens, slot, BatchPlan.BASE, slot);
                int size = base.length;
                for (int i = 0; i < 3; ++i) {
                    double difference =
                            TestModels.maxDifference(
                                    Arrays.copyOfRange(mixed, i * size, (i + 1) * size),
                                    i == 1 ? base : expected);
                    assertTrue(difference <= TOLERANCE, "row " + i + ": " + difference);
                }
            }
        } finally {
            TestModels.delete(changed);
        }
    }

    private static int put(LoraContext context, Map<String, float[]> weights) {
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[context.getModules().size()];
        int slot =
                context.getTable().put(new PackedAdapter(context.getType(), new byte[0], entries));
        NDManager manager = context.getManager().newSubManager();
        AdapterExtras.Builder extras = AdapterExtras.builder(manager);
        weights.forEach((norm, weight) -> extras.addNorm(norm, manager.create(weight)));
        context.putExtras(slot, extras.build());
        return slot;
    }

    /** Computes the logits of every token, of a sequence for each slot in one step. */
    private static float[] logits(TestModels.Loaded model, int[] tokens, int... slots) {
        List<KvCache> caches =
                Arrays.stream(slots)
                        .mapToObj(slot -> model.block().newKvCache(model.manager()))
                        .toList();
        ForwardStep.Builder step = ForwardStep.builder().optAllPositions(true);
        for (int i = 0; i < slots.length; ++i) {
            step.addSequence(caches.get(i), slots[i], tokens);
        }
        float[] logits = model.logits(step.build());
        caches.forEach(KvCache::close);
        return logits;
    }

    /**
     * Writes random weights over every norm of a checkpoint and returns them by the norm's name.
     */
    private static Map<String, float[]> changeNorms(Path folder) throws IOException {
        Random random = new Random(8);
        Map<String, float[]> weights = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
                List<TensorInfo> norms;
                try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
                    norms =
                            tensors.tensors().values().stream()
                                    .filter(tensor -> tensor.name().endsWith("norm.weight"))
                                    .toList();
                }
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                    for (TensorInfo norm : norms) {
                        assertEquals(norm.type(), SafetensorsType.F32);
                        float[] weight = new float[(int) norm.shape()[0]];
                        ByteBuffer data =
                                ByteBuffer.allocate((int) norm.size())
                                        .order(ByteOrder.LITTLE_ENDIAN);
                        for (int i = 0; i < weight.length; ++i) {
                            weight[i] = 0.5f + random.nextFloat();
                            data.putFloat(weight[i]);
                        }
                        channel.write(data.flip(), norm.offset());
                        String name = norm.name();
                        weights.put(name.substring(0, name.lastIndexOf('.')), weight);
                    }
                }
            }
        }
        return weights;
    }
}
