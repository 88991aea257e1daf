/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Folders whose weights are not those of their configuration's model are refused. */
public class LlamaWeightsTest {

    private Path folder;

    @BeforeMethod
    public void copyModel() throws IOException {
        folder = TestModels.copy(TestModels.model("llama2"));
    }

    @AfterMethod
    public void deleteCopy() throws IOException {
        TestModels.delete(folder);
    }

    /** Rewrites the header of a safetensors file, whose data stay as they are. */
    private static void editHeader(Path file, UnaryOperator<String> edit) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        byte[] header =
                edit.apply(new String(bytes, 8, length, StandardCharsets.UTF_8))
                        .getBytes(StandardCharsets.UTF_8);
        ByteBuffer edited =
                ByteBuffer.allocate(bytes.length - length + header.length)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(header.length)
                        .put(header)
                        .put(bytes, 8 + length, bytes.length - 8 - length);
        Files.write(file, edited.array());
    }

    private static void editConfig(Path folder, String from, String to) throws IOException {
        Path file = folder.resolve("config.json");
        String config = Files.readString(file);
        assertTrue(config.contains(from));
        Files.writeString(file, config.replace(from, to));
    }

    private static String refusal(Path folder) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () -> TestModels.load(folder, "pytorch", ElementType.FLOAT32));
        assertEquals(e.getMessage().lines().count(), 1, e.getMessage());
        return e.getMessage();
    }

    private Path weights() {
        return folder.resolve("model.safetensors");
    }

    @Test
    public void missingFileIsNamed() throws IOException {
        Files.delete(weights());
        assertEquals(
                refusal(folder),
                folder
                        + ": expected model.safetensors or model.safetensors.index.json, found"
                        + " neither");
    }

    @Test
    public void missingAndUnusedTensorsAreNamed() throws IOException {
        editHeader(weights(), header -> header.replace("lm_head.weight", "my_head.weight"));
        assertEquals(
                refusal(folder),
                folder + ": these tensors of the model are missing: \"lm_head.weight\"");
        editConfig(folder, "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
        assertEquals(
                refusal(folder),
                folder + ": a llama model has no use for these tensors:" + " \"my_head.weight\"");
    }

    @Test
    public void manyTensorsAreCounted() throws IOException {
        editConfig(folder, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
        assertTrue(
                refusal(folder)
                        .endsWith("\"model.layers.2.post_attention_layernorm.weight\" and 4 more"));
        editConfig(folder, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 1");
        assertTrue(refusal(folder).contains("no use for these tensors: \"model.layers.1."));
    }

    @Test
    public void biasesMustBeConfigured() throws IOException {
        Path qwen2 = TestModels.copy(TestModels.model("qwen2"));
        try {
            editConfig(qwen2, "\"qwen2\"", "\"llama\"");
            assertTrue(refusal(qwen2).contains("model.layers.0.self_attn.k_proj.bias"));
        } finally {
            TestModels.delete(qwen2);
        }
    }

    @Test
    public void wrongShapeIsNamed() throws IOException {
        editConfig(folder, "\"vocab_size\": 96", "\"vocab_size\": 97");
        assertEquals(
                refusal(folder),
                weights()
                        + ": tensor model.embed_tokens.weight has shape [96, 64]; expected"
                        + " [97, 64] by config.json");
    }

    @Test
    public void wrongTypeIsNamed() throws IOException {
        editHeader(weights(), header -> header.replace("\"F32\"", "\"I32\""));
        assertEquals(
                refusal(folder),
                weights()
                        + ": tensor model.embed_tokens.weight is of type I32; expected F32, F16 or"
                        + " BF16");
    }

    @Test
    public void truncatedFilesAreRefused() throws IOException {
        byte[] bytes = Files.readAllBytes(weights());
        Files.write(weights(), Arrays.copyOf(bytes, bytes.length - 4));
        assertTrue(refusal(folder).startsWith(weights() + ": "));
        Path sharded = TestModels.copy(TestModels.model("qwen3"));
        try {
            Path shard = sharded.resolve("model-00002-of-00003.safetensors");
            byte[] whole = Files.readAllBytes(shard);
            Files.write(shard, Arrays.copyOf(whole, whole.length / 2));
            assertTrue(refusal(sharded).startsWith(shard + ": "));
            Files.delete(shard);
            assertTrue(refusal(sharded).contains("model-00002-of-00003.safetensors"));
        } finally {
            TestModels.delete(sharded);
        }
    }

    @Test
    public void copyOfATiedEmbeddingIsLeftAside() throws IOException {
        editConfig(folder, "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
        try (TestModels.Loaded model = TestModels.load(folder, "pytorch", ElementType.FLOAT32)) {
            LoraContext context = model.block().getLoraContext();
            assertEquals(context.getModules().get(14).toString(), "lm_head [96, 64]");
            // the same array, so that nothing of the copy is read and the table is there once
            NDArray table = model.block().getDirectParameters().valueAt(0).getArray();
            assertSame(context.getBaseWeight(14), table);
            assertEquals(
                    model.block().getParameters().stream()
                            .filter(parameter -> parameter.getValue().getArray() == table)
                            .count(),
                    1);
            try (KvCache cache = model.block().newKvCache(model.manager())) {
                float[] logits =
                        model.logits(
                                ForwardStep.builder()
                                        .addSequence(cache, BatchPlan.BASE, 1)
                                        .build());
                assertEquals(logits.length, 96);
            }
        }
    }

    @Test
    public void frequenciesOfOldCheckpointsAreLeftAside() throws IOException {
        byte[] bytes = Files.readAllBytes(weights());
        int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        long data = bytes.length - 8L - length;
        Files.write(weights(), Arrays.copyOf(bytes, bytes.length + 32));
        String entry =
                String.format(
                        "\"model.layers.0.self_attn.rotary_emb.inv_freq\":{\"dtype\":\"F32\","
                                + "\"shape\":[8],\"data_offsets\":[%d,%d]},",
                        data, data + 32);
        editHeader(weights(), header -> '{' + entry + header.substring(1));
        TestModels.load(folder, "pytorch", ElementType.FLOAT32).close();
    }

    @Test
    public void everyLinearLayerCanBeAdapted() {
        try (TestModels.Loaded model = TestModels.load("llama2", "pytorch")) {
            assertEquals(model.block().getLoraContext().getModules().size(), 2 * 7 + 1);
            assertEquals(
                    model.block().getLoraContext().getModules().get(0).toString(),
                    "model.layers.0.self_attn.q_proj [64, 64]");
            assertEquals(
                    model.block().getLoraContext().getModules().get(14).toString(),
                    "lm_head [96, 64]");
        }
    }
}
