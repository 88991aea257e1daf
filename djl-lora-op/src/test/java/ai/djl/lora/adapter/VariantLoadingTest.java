/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static ai.djl.lora.adapter.AdapterDirectory.LAYOUT;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static ai.djl.lora.adapter.AdapterDirectory.TIED;
import static ai.djl.lora.adapter.AdapterDirectory.V;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertNull;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** What each variant makes of small tensors, against numbers worked out by hand. */
public class VariantLoadingTest {

    private static final String EMBEDDING = "model.embed_tokens";

    /** A model of one layer with two outputs and four inputs. */
    private static final ModelLayout SMALL =
            new ModelLayout(List.of(new LoraModule(0, "m.w", 4, 2)));

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private LoraAdapter load(ModelLayout layout) throws IOException {
        LoraAdapter adapter = directory.load(layout, LoadingPolicy.STRICT);
        assertEquals(adapter.report().compatibility(), Compatibility.FULL);
        return adapter;
    }

    private void put(String name, HostTensor tensor) {
        directory.tensors.put(PREFIX + name, tensor);
    }

    private static HostTensor matrix(int columns, float... values) {
        return HostTensor.of(values, values.length / columns, columns);
    }

    private static HostTensor vector(float... values) {
        return HostTensor.of(values, values.length);
    }

    private static void assertValues(HostTensor tensor, String shape, float... values) {
        assertEquals(tensor.toString(), "float32 " + shape);
        assertEquals(tensor.toFloats(), values);
    }

    @Test
    public void foldsSingularValuesOfAdaLora() throws IOException {
        directory.begin(
                "{\"peft_type\": \"ADALORA\", \"init_r\": 3, \"target_r\": 1, \"r\": 8,"
                        + " \"lora_alpha\": 6, \"use_rslora\": true, \"total_step\": 10,"
                        + " \"target_modules\": [\"w\", \"v\"], \"rank_pattern\":"
                        + " {\"m.w.lora_E\": [true, false, true], \"m.v.lora_E\": [false, false,"
                        + " false]}}");
        put("m.w.lora_A", matrix(4, 1, 2, 3, 4, 5, 6, 7, 8));
        put("m.w.lora_E", matrix(1, 2, -0.5f));
        put("m.w.lora_B", matrix(2, 1, 3, 2, 4));
        put("m.v.lora_A", HostTensor.of(new float[0], 0, 4));
        put("m.v.lora_E", HostTensor.of(new float[0], 0, 1));
        put("m.v.lora_B", HostTensor.of(new float[0], 2, 0));
        LoraAdapter adapter =
                load(
                        new ModelLayout(
                                List.of(
                                        new LoraModule(0, "m.w", 4, 2),
                                        new LoraModule(1, "m.v", 4, 2))));
        // the module without a rank is the base model's
        assertEquals(adapter.changes().linears().keySet(), Set.of("m.w"));
        LinearChange change = adapter.changes().linears().get("m.w");
        assertTrue(change.isProductOnly());
        assertEquals(change.product().rank(), 2);
        // 6 / (3 + 0.00001) = 1.99999333..., neither by the rank that is left nor by its root
        assertEquals(change.product().scale(), 1.9999933f);
        assertValues(change.product().a(), "[2, 4]", 2, 4, 6, 8, -2.5f, -3, -3.5f, -4);
        assertValues(change.product().b(), "[2, 2]", 1, 3, 2, 4);
        assertEquals(
                adapter.report().modules(),
                List.of(
                        new ModuleReport("m.w", "AdaLoRA", 2, 1.9999933f, "float32", 56),
                        new ModuleReport("m.v", "AdaLoRA", 0, 1.9999933f, "float32", 0)));
    }

    /** PEFT takes an alpha that is not positive for init_r. */
    @Test
    public void scalesAdaLoraWithoutAlpha() throws IOException {
        directory.begin(
                "{\"peft_type\": \"ADALORA\", \"init_r\": 4, \"lora_alpha\": 0,"
                        + " \"target_modules\": [\"w\"]}");
        directory.put(PREFIX + "m.w.lora_A", 4, 4);
        directory.put(PREFIX + "m.w.lora_B", 2, 4);
        directory.put(PREFIX + "m.w.lora_E", 4, 1);
        // 4 / 4.00001 = 0.9999975
        assertEquals(load(SMALL).changes().linears().get("m.w").product().scale(), 0.9999975f);
    }

    @Test
    public void keepsMagnitudesOfDora() throws IOException {
        directory.with("use_dora", "true").with("use_rslora", "true");
        put(Q + ".lora_magnitude_vector", vector(1, 2, 3, 4));
        put(V + ".lora_magnitude_vector", vector(5, 6));
        LoraAdapter adapter = load(LAYOUT);
        LinearChange q = adapter.changes().linears().get(Q);
        assertEquals(q.variant(), "DoRA");
        // 6 / sqrt(3)
        assertEquals(q.product().scale(), 3.4641016f);
        assertValues(q.magnitude(), "[4]", 1, 2, 3, 4);
        assertFalse(adapter.changes().isStackable());
        assertEquals(adapter.changes().variants(), "DoRA");
        assertEquals(
                adapter.report().modules().get(0),
                new ModuleReport(Q, "DoRA", 3, 3.4641016f, "float32", 4 * (18 + 12 + 4)));
    }

    @Test
    public void scalesTheBiasOfB() throws IOException {
        directory.with("lora_bias", "true");
        put(Q + ".lora_B.bias", vector(1, -2, 3, 0.5f));
        put(V + ".lora_B.bias", vector(0, 1));
        LinearChange q = load(LAYOUT).changes().linears().get(Q);
        // alpha / r = 2
        assertValues(q.shift(), "[4]", 2, -4, 6, 1);
        assertNull(q.bias());
    }

    @Test
    public void readsInvocationTokens() throws IOException {
        directory.with("alora_invocation_tokens", "[7, 11, 7]");
        LoraAdapter adapter = load(LAYOUT);
        assertEquals(adapter.changes().invocationTokens(), new int[] {7, 11, 7});
        assertEquals(adapter.report().modules().get(0).variant(), "aLoRA");
        assertFalse(adapter.changes().isStackable());
    }

    @Test
    public void readsFactorsOfIa3() throws IOException {
        directory.begin(
                "{\"peft_type\": \"IA3\", \"target_modules\": [\"q_proj\", \"up_proj\"],"
                        + " \"feedforward_modules\": [\"p_proj\"], \"init_ia3_weights\": true}");
        put(Q + ".ia3_l", matrix(1, 1, 2, 3, 4));
        put("model.layers.0.mlp.up_proj.ia3_l", matrix(6, 6, 5, 4, 3, 2, 1));
        AdapterChanges changes = load(LAYOUT).changes();
        LinearChange q = changes.linears().get(Q);
        assertValues(q.outputScale(), "[4]", 1, 2, 3, 4);
        assertNull(q.inputScale());
        // "p_proj" is the end of up_proj, though no name behind a dot
        LinearChange up = changes.linears().get("model.layers.0.mlp.up_proj");
        assertValues(up.inputScale(), "[6]", 6, 5, 4, 3, 2, 1);
        assertNull(up.outputScale());
        assertNull(up.product());
    }

    @Test
    public void readsPromptsAndPrefixes() throws IOException {
        directory.begin(
                "{\"peft_type\": \"P_TUNING\", \"num_virtual_tokens\": 2, \"token_dim\": 6,"
                        + " \"num_transformer_submodules\": 1, \"num_attention_heads\": 2,"
                        + " \"num_layers\": 1, \"encoder_reparameterization_type\": \"LSTM\"}");
        directory.put("prompt_embeddings", 2, 6);
        LoraAdapter prompt = load(LAYOUT);
        assertEquals(
                prompt.changes().prompt().orElseThrow().data(),
                directory.tensors.get("prompt_embeddings").data());
        assertEquals(prompt.report().applied(), List.of("prompt"));
        // two tokens, one layer, keys and values, one head of two
        directory.with("peft_type", "\"PREFIX_TUNING\"").with("prefix_projection", "true");
        directory.tensors.clear();
        directory.put("prompt_embeddings", 2, 4);
        HostTensor prefix = load(LAYOUT).changes().prefix().orElseThrow();
        assertEquals(prefix.shape(), new long[] {2, 2, 1, 2});
        assertEquals(prefix.data(), directory.tensors.get("prompt_embeddings").data());
    }

    @Test
    public void foldsVectorsOfVera() throws IOException {
        directory.begin(
                "{\"peft_type\": \"VERA\", \"r\": 2, \"target_modules\": [\"w\", \"v\"],"
                        + " \"save_projection\": true, \"projection_prng_key\": 0}");
        directory.tensors.put("base_model.vera_A", matrix(5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
        directory.tensors.put("base_model.vera_B", matrix(2, 1, 2, 3, 4, 5, 6));
        put("m.w.vera_lambda_b", vector(10, 100));
        put("m.w.vera_lambda_d", vector(1, -1));
        put("m.v.vera_lambda_b", vector(1, 1, 2));
        put("m.v.vera_lambda_d", vector(0.5f, 2));
        AdapterChanges changes =
                load(new ModelLayout(
                                List.of(
                                        new LoraModule(0, "m.w", 4, 2),
                                        new LoraModule(1, "m.v", 5, 3))))
                        .changes();
        LoraWeights w = changes.linears().get("m.w").product();
        assertEquals(w.scale(), 1f);
        // the first four of five columns, and the first two of three rows
        assertValues(w.a(), "[2, 4]", 1, 2, 3, 4, 6, 7, 8, 9);
        assertValues(w.b(), "[2, 2]", 10, -20, 300, -400);
        LoraWeights v = changes.linears().get("m.v").product();
        assertValues(v.a(), "[2, 5]", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
        assertValues(v.b(), "[3, 2]", 0.5f, 4, 1.5f, 8, 5, 24);
    }

    @Test
    public void expandsLoha() throws IOException {
        directory.begin(
                "{\"peft_type\": \"LOHA\", \"r\": 2, \"alpha\": 6, \"target_modules\": [\"w\"],"
                        + " \"use_effective_conv2d\": false}");
        put("m.w.hada_w1_a", matrix(2, 1, 2, 3, 4));
        put("m.w.hada_w1_b", matrix(4, 1, 0, 1, 2, 0, 1, 1, 3));
        put("m.w.hada_w2_a", matrix(2, 1, -1, 2, 1));
        put("m.w.hada_w2_b", matrix(4, 2, 1, 0, 1, 1, 1, 2, 1));
        LoraWeights product = load(SMALL).changes().linears().get("m.w").product();
        assertEquals(product.rank(), 4);
        assertEquals(product.scale(), 3f);
        // [1 2; 3 4] [1 0 1 2; 0 1 1 3] = [1 2 3 8; 3 4 7 18]
        // [1 -1; 2 1] [2 1 0 1; 1 1 2 1] = [1 0 -2 0; 5 3 2 3]
        assertEquals(dense(product), new double[] {3, 0, -18, 0, 45, 36, 42, 162});
    }

    @Test
    public void expandsLokr() throws IOException {
        String config =
                "{\"peft_type\": \"LOKR\", \"r\": 1, \"alpha\": 2, \"target_modules\": [\"w\"],"
                        + " \"decompose_both\": false, \"decompose_factor\": -1}";
        directory.begin(config);
        // kron([1 3], [1; 2] [1 -1]) = [1 -1 3 -3; 2 -2 6 -6]
        put("m.w.lokr_w1", matrix(2, 1, 3));
        put("m.w.lokr_w2_a", matrix(1, 1, 2));
        put("m.w.lokr_w2_b", matrix(2, 1, -1));
        LoraWeights product = load(SMALL).changes().linears().get("m.w").product();
        assertEquals(product.rank(), 1);
        double[] expected = {2, -2, 6, -6, 4, -4, 12, -12};
        assertEquals(dense(product), expected);
        // the same with both as products: kron([1] [1 3], [1; 2] [1 -1])
        directory.begin(config);
        put("m.w.lokr_w1_a", matrix(1, 1));
        put("m.w.lokr_w1_b", matrix(2, 1, 3));
        put("m.w.lokr_w2_a", matrix(1, 1, 2));
        put("m.w.lokr_w2_b", matrix(2, 1, -1));
        assertEquals(dense(load(SMALL).changes().linears().get("m.w").product()), expected);
        // and with both whole, of low rank all the same: kron([1 3], [1 -1; 2 -2] taken as is)
        directory.begin(config);
        put("m.w.lokr_w1", matrix(1, 1, 2));
        put("m.w.lokr_w2", matrix(4, 1, -1, 3, -3));
        product = load(SMALL).changes().linears().get("m.w").product();
        assertEquals(product.rank(), 1);
        assertEquals(dense(product), expected);
    }

    private static double[] dense(LoraWeights product) {
        float[] a = product.a().toFloats();
        float[] b = product.b().toFloats();
        int in = (int) product.a().shape()[1];
        int out = (int) product.b().shape()[0];
        double[] result = new double[out * in];
        for (int i = 0; i < result.length; i++) {
            for (int k = 0; k < product.rank(); k++) {
                result[i] +=
                        (double) product.scale()
                                * b[i / in * product.rank() + k]
                                * a[k * in + i % in];
            }
        }
        return result;
    }

    @Test
    public void replacesModules() throws IOException {
        directory
                .with("modules_to_save", "[\"norm\", \"lm_head\", \"embed_tokens\", \"mlp\"]")
                .with("bias", "\"none\"");
        directory.put(PREFIX + "model.norm.weight", 6);
        directory.put(PREFIX + "lm_head.weight", 12, 6);
        directory.put(PREFIX + "lm_head.bias", 12);
        directory.put(PREFIX + EMBEDDING + ".weight", 12, 6);
        // a module inside one that is replaced
        directory.put(PREFIX + "model.layers.0.mlp.up_proj.weight", 10, 6);
        LoraAdapter adapter = load(LAYOUT);
        AdapterChanges changes = adapter.changes();
        assertEquals(changes.norms().keySet(), Set.of("model.norm"));
        assertEquals(changes.linears().get("lm_head").weight().shape(), new long[] {12, 6});
        assertEquals(changes.linears().get("lm_head").bias().shape(), new long[] {12});
        assertEquals(
                changes.linears().get("model.layers.0.mlp.up_proj").weight().shape(),
                new long[] {10, 6});
        assertEquals(
                changes.embedding().orElseThrow().weight().data(),
                directory.tensors.get(PREFIX + EMBEDDING + ".weight").data());
        assertEquals(
                adapter.report().applied(),
                List.of(EMBEDDING, Q, V, "model.layers.0.mlp.up_proj", "lm_head", "model.norm"));
    }

    /** A file of a model with biases has one of each layer; adapted ones have another name. */
    @Test
    public void replacesBiases() throws IOException {
        directory.with("bias", "\"all\"");
        put(Q + ".base_layer.bias", vector(1, 2, 3, 4));
        put("model.layers.0.mlp.up_proj.bias", vector(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
        AdapterChanges changes = load(LAYOUT).changes();
        assertValues(changes.linears().get(Q).bias(), "[4]", 1, 2, 3, 4);
        assertEquals(changes.linears().get(Q).product().rank(), 3);
        LinearChange up = changes.linears().get("model.layers.0.mlp.up_proj");
        assertEquals(up.bias().elements(), 10);
        assertNull(up.product());
    }

    @Test
    public void replacesRowsOfTheEmbedding() throws IOException {
        directory.with("trainable_token_indices", "[9, 5]");
        String tensor = PREFIX + EMBEDDING + ".token_adapter.trainable_tokens_delta";
        directory.put(tensor, 2, 6);
        EmbeddingChange change = load(LAYOUT).changes().embedding().orElseThrow();
        assertEquals(change.tokens(), new int[] {9, 5});
        assertEquals(change.rows().data(), directory.tensors.get(tensor).data());
        directory.with("trainable_token_indices", "{\"embed_tokens\": [9, 5]}");
        assertEquals(load(LAYOUT).changes().embedding().orElseThrow().tokens(), new int[] {9, 5});
    }

    @Test
    public void replacesRowsOnTheirOwn() throws IOException {
        directory.begin(
                "{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": [3, 1],"
                        + " \"target_modules\": [\"embed_tokens\"], \"init_weights\": true}");
        directory.put(PREFIX + EMBEDDING + ".trainable_tokens_delta", 2, 6);
        assertEquals(load(LAYOUT).changes().embedding().orElseThrow().tokens(), new int[] {3, 1});
        // an output layer that shares the weights has an equal copy
        directory.put(PREFIX + "lm_head.trainable_tokens_delta", 2, 6);
        AdapterChanges changes = load(TIED).changes();
        assertEquals(changes.embedding().orElseThrow().tokens(), new int[] {3, 1});
        assertEquals(changes.linears(), Map.of());
    }

    @Test
    public void readsProductsOfEmbeddingAndHead() throws IOException {
        directory.with("target_modules", "[\"q_proj\", \"v_proj\", \"embed_tokens\", \"lm_head\"]");
        directory.put(PREFIX + EMBEDDING + ".lora_embedding_A", 3, 12);
        directory.put(PREFIX + EMBEDDING + ".lora_embedding_B", 6, 3);
        directory.put(PREFIX + "lm_head.lora_A.weight", 3, 6);
        directory.put(PREFIX + "lm_head.lora_B.weight", 12, 3);
        AdapterChanges changes = load(LAYOUT).changes();
        LoraWeights product = changes.embedding().orElseThrow().product();
        assertEquals(product.scale(), 2f);
        assertEquals(product.a().shape(), new long[] {3, 12});
        assertEquals(changes.linears().get("lm_head").product().rank(), 3);
        // PEFT saves the base's own weights beside them, which overwrite the base's
        directory.put(PREFIX + EMBEDDING + ".base_layer.weight", 12, 6);
        directory.put(PREFIX + "lm_head.base_layer.weight", 12, 6);
        for (ModelLayout layout : List.of(LAYOUT, TIED)) {
            changes = load(layout).changes();
            assertEquals(
                    changes.embedding().orElseThrow().weight().data(),
                    directory.tensors.get(PREFIX + EMBEDDING + ".base_layer.weight").data());
            assertEquals(changes.embedding().orElseThrow().product().rank(), 3);
            assertEquals(changes.linears().get("lm_head").weight().elements(), 72);
            assertEquals(changes.linears().get("lm_head").product().rank(), 3);
        }
    }

    /** Where both share one weight, overwriting it by either name overwrites it for both. */
    @Test
    public void overwritesTiedWeightsTogether() throws IOException {
        directory.with("target_modules", "[\"q_proj\", \"v_proj\", \"embed_tokens\"]");
        directory.put(PREFIX + EMBEDDING + ".lora_embedding_A", 3, 12);
        directory.put(PREFIX + EMBEDDING + ".lora_embedding_B", 6, 3);
        directory.put(PREFIX + EMBEDDING + ".base_layer.weight", 12, 6);
        AdapterChanges changes = load(TIED).changes();
        assertSame(
                changes.linears().get("lm_head").weight(),
                changes.embedding().orElseThrow().weight());
        assertNull(changes.linears().get("lm_head").product());
        assertFalse(load(LAYOUT).changes().linears().containsKey("lm_head"));
    }

    /** A resized vocabulary is saved under the base model's own names. */
    @Test
    public void overwritesWhatAResizedVocabularySaves() throws IOException {
        directory.put(PREFIX + EMBEDDING + ".weight", 12, 6);
        directory.put(PREFIX + "lm_head.weight", 12, 6);
        AdapterChanges changes = load(LAYOUT).changes();
        assertEquals(changes.embedding().orElseThrow().weight().elements(), 72);
        assertEquals(changes.linears().get("lm_head").weight().elements(), 72);
    }

    /** PEFT also saves the output layer that ensure_weight_tying ties to a saved embedding. */
    @Test
    public void replacesWhatIsTied() throws IOException {
        directory.with("modules_to_save", "[\"embed_tokens\"]").with("ensure_weight_tying", "true");
        directory.put(PREFIX + EMBEDDING + ".weight", 12, 6);
        directory.put(PREFIX + "lm_head.weight", 12, 6);
        for (ModelLayout layout : List.of(LAYOUT, TIED)) {
            AdapterChanges changes = load(layout).changes();
            assertEquals(changes.embedding().orElseThrow().weight().elements(), 72);
            assertEquals(changes.linears().get("lm_head").weight().elements(), 72);
        }
    }
}
