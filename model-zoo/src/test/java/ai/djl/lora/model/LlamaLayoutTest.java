/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The layout that is made of a configuration is the one of the loaded model. */
public class LlamaLayoutTest {

    @DataProvider
    public Object[][] models() {
        return Arrays.stream(TestModels.NAMES)
                .map(name -> new Object[] {name})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "models")
    public void isThatOfTheLoadedModel(String name) {
        ModelLayout layout = LlamaLayout.read(TestModels.model(name));
        try (TestModels.Loaded model = TestModels.load(name, "pytorch")) {
            ModelLayout loaded = model.block().getLoraContext().getLayout();
            assertEquals(layout.linears(), loaded.linears());
            assertEquals(layout.norms(), loaded.norms());
            assertEquals(layout.embedding(), loaded.embedding());
            assertEquals(layout.attention(), loaded.attention());
        }
    }

    @Test
    public void saysWhatIsTied() {
        assertEquals(
                LlamaLayout.read(TestModels.model("qwen2")).embedding().orElseThrow().tiedTo(),
                Optional.of("lm_head"));
        assertEquals(
                LlamaLayout.read(TestModels.model("llama2")).embedding().orElseThrow().tiedTo(),
                Optional.empty());
    }

    @Test
    public void queryAndKeyNormsAreThereWhereTheModelHasThem() {
        Map<String, Integer> norms = LlamaLayout.read(TestModels.model("qwen3")).norms();
        int headDim = LlamaConfig.read(TestModels.model("qwen3")).headDim();
        assertEquals(norms.get("model.layers.0.self_attn.q_norm"), Integer.valueOf(headDim));
        assertEquals(norms.get("model.layers.0.self_attn.k_norm"), Integer.valueOf(headDim));
        assertTrue(
                LlamaLayout.read(TestModels.model("llama2")).norms().keySet().stream()
                        .noneMatch(name -> name.endsWith("q_norm")));
    }

    @Test
    public void weightsMustBeThoseOfTheConfiguration() throws IOException {
        Path folder = TestModels.copy(TestModels.model("llama2"));
        try {
            Path weights = folder.resolve("model.safetensors");
            try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
                file.setLength(file.length() - 1);
            }
            LoraConfigurationException e =
                    expectThrows(LoraConfigurationException.class, () -> LlamaLayout.read(folder));
            assertTrue(e.getMessage().contains("model.safetensors"), e.getMessage());
            Files.delete(weights);
            expectThrows(LoraConfigurationException.class, () -> LlamaLayout.read(folder));
        } finally {
            TestModels.delete(folder);
        }
    }
}
