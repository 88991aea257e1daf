/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.GoldenModels;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class InferredLayoutTest {

    private static ModelLayout infer(Path adapter) {
        try (AdapterFiles files = AdapterFiles.open(adapter, FormatLimits.DEFAULTS)) {
            return InferredLayout.of(files);
        }
    }

    @DataProvider
    public Object[][] adapters() throws IOException {
        List<Object[]> found = new ArrayList<>();
        for (String model : List.of("llama", "qwen2")) {
            Path folder = GoldenModels.VARIANTS.resolve(model).resolve("adapters");
            try (Stream<Path> folders = Files.list(folder)) {
                folders.sorted().forEach(each -> found.add(new Object[] {model, each}));
            }
        }
        return found.toArray(Object[][]::new);
    }

    /** Layers that the tensors give both sides of are as large as the model's. */
    @Test(dataProvider = "adapters")
    public void layersAreThoseOfTheModel(String model, Path adapter) throws IOException {
        ModelLayout real =
                GoldenModels.layout(GoldenModels.VARIANTS.resolve(model).resolve("base"));
        Map<String, LoraModule> linears = new HashMap<>();
        real.linears().forEach(linear -> linears.put(linear.name(), linear));
        ModelLayout inferred = infer(adapter);
        // what says one side alone: IA3's vectors, VeRA's shared matrix, biases, rows of tokens
        String name = adapter.getFileName().toString();
        boolean both = !name.matches("ia3.*|vera.*|.*bias.*|trainable-tokens.*");
        for (LoraModule linear : inferred.linears()) {
            LoraModule expected = linears.get(linear.name());
            assertTrue(expected != null, linear.name());
            if (both) {
                assertEquals(linear.inFeatures(), expected.inFeatures(), linear.name());
                assertEquals(linear.outFeatures(), expected.outFeatures(), linear.name());
            }
        }
        assertTrue(real.norms().entrySet().containsAll(inferred.norms().entrySet()));
        inferred.embedding()
                .ifPresent(
                        embedding ->
                                assertEquals(embedding.hidden(), real.embedding().get().hidden()));
        inferred.attention()
                .ifPresent(attention -> assertEquals(Optional.of(attention), real.attention()));
    }

    @Test
    public void shapesThatMakeNoSenseGiveALayoutAllTheSame() throws IOException {
        try (AdapterDirectory adapter = new AdapterDirectory()) {
            adapter.begin("{\"peft_type\":\"LORA\"}");
            adapter.put("base_model.model.m.lora_A.weight", 3);
            adapter.put("base_model.model.m.lora_B.weight", 0, 3);
            adapter.put("base_model.model.n.lokr_w1", 2, 3, 4);
            adapter.put("base_model.model.n.lokr_w2");
            adapter.put("nothing", 1);
            adapter.write();
            ModelLayout layout = infer(adapter.path());
            assertEquals(
                    layout.linears(),
                    List.of(new LoraModule(0, "m", 1, 1), new LoraModule(1, "n", 3, 2)));
        }
    }
}
