/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.GoldenModels;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.testng.annotations.Test;

public class AdapterDiffTest {

    private static final String A = "m.w.lora_A.weight";
    private static final String B = "m.w.lora_B.weight";
    private static final String PLAIN =
            "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2,\"target_modules\":[\"w\"]}";

    private static AdapterDiff diff(AdapterDirectory one, AdapterDirectory other)
            throws IOException {
        one.write();
        other.write();
        return AdapterDiff.of(one.path(), other.path());
    }

    @Test
    public void equalContentIsEqual() {
        AdapterDiff diff =
                AdapterDiff.of(
                        GoldenModels.VARIANTS.resolve("llama/adapters/lora"),
                        GoldenModels.VARIANTS.resolve("formats/down-up"));
        assertTrue(diff.isEqual());
        assertEquals(diff.modules(), List.of());
        assertEquals(diff.equalModules(), 14);
    }

    /** 2 * [3, 5]^T [1, 1] less 1/2 * [12, 20]^T [1, 1.5], worked out by hand: 2 * 5 - 10 * 1.5. */
    @Test
    public void productsAreComparedWhateverTheirFactors() throws IOException {
        try (AdapterDirectory one = new AdapterDirectory();
                AdapterDirectory other = new AdapterDirectory()) {
            one.begin(PLAIN);
            one.tensors.put(A, HostTensor.of(new float[] {1, 1}, 1, 2));
            one.tensors.put(B, HostTensor.of(new float[] {3, 5}, 2, 1));
            other.begin(PLAIN).with("r", "2").with("lora_alpha", "1");
            other.tensors.put(A, HostTensor.of(new float[] {1, 1.5f, 0, 0}, 2, 2));
            other.tensors.put(B, HostTensor.of(new float[] {12, 7, 20, 7}, 2, 2));
            AdapterDiff diff = diff(one, other);
            assertFalse(diff.isEqual());
            ModuleDifference module = diff.modules().get(0);
            assertEquals(module.largest(), Map.of("product", OptionalDouble.of(5)));
            assertEquals(module.first().orElseThrow().rank(), 1);
            assertEquals(module.second().orElseThrow().rank(), 2);
            assertEquals(module.first().orElseThrow().scale(), 2.0);
            assertEquals(module.second().orElseThrow().scale(), 0.5);
            assertEquals(
                    diff.fields().stream().map(ConfigDifference::field).toList(),
                    List.of("lora_alpha", "r"));
        }
    }

    @Test
    public void fieldsThatChangeNothingAreLeft() throws IOException {
        try (AdapterDirectory one = new AdapterDirectory();
                AdapterDirectory other = new AdapterDirectory()) {
            one.with("lora_dropout", "0.5").with("use_rslora", "false");
            one.with("target_modules", "[\"v_proj\", \"q_proj\"]").with("lora_alpha", "6.0");
            other.with("bias", "\"none\"").with("modules_to_save", "null");
            AdapterDiff diff = diff(one, other);
            assertTrue(diff.isEqual());
            assertEquals(diff.fields().stream().map(ConfigDifference::field).toList(), List.of());
        }
    }

    @Test
    public void whatOnlyOneHasIsNamed() {
        Path adapters = GoldenModels.VARIANTS.resolve("llama/adapters");
        AdapterDiff diff = AdapterDiff.of(adapters.resolve("dora"), adapters.resolve("ia3"));
        Map<String, ModuleDifference> modules = new HashMap<>();
        diff.modules().forEach(module -> modules.put(module.module(), module));
        ModuleDifference query = modules.get("model.layers.0.self_attn.q_proj");
        assertTrue(query.second().isEmpty());
        assertEquals(query.largest().get("magnitude"), OptionalDouble.empty());
        assertTrue(query.largest().get("product").getAsDouble() > 0.1);
        ModuleDifference value = modules.get("model.layers.0.self_attn.v_proj");
        assertEquals(value.first().orElseThrow().variant(), "DoRA");
        assertEquals(value.second().orElseThrow().variant(), "IA3");
        // against what changes nothing: factors of 1
        assertTrue(value.largest().get("output scale").getAsDouble() < 2);
    }

    @Test
    public void virtualTokensAndEmbeddingsAreCompared() {
        Path adapters = GoldenModels.VARIANTS.resolve("llama/adapters");
        AdapterDiff tokens =
                AdapterDiff.of(adapters.resolve("ptuning"), adapters.resolve("ptuning-lstm"));
        assertEquals(tokens.modules().size(), 1);
        assertEquals(tokens.modules().get(0).module(), "prompt");
        AdapterDiff embedding =
                AdapterDiff.of(
                        adapters.resolve("lora-embedding-only"),
                        adapters.resolve("trainable-tokens"));
        ModuleDifference table =
                embedding.modules().stream()
                        .filter(module -> module.module().equals("model.embed_tokens"))
                        .findFirst()
                        .orElseThrow();
        assertTrue(table.largest().get("product").getAsDouble() > 0);
        assertEquals(table.largest().get("rows"), OptionalDouble.empty());
    }
}
