/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;

import java.util.Optional;
import java.util.Set;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class PeftNameTest {

    private static final String MODULE = "model.layers.0.self_attn.q_proj";

    @DataProvider
    public Object[][] names() {
        String prefix = "base_model.model.";
        return new Object[][] {
            {prefix + MODULE + ".lora_A.weight", MODULE + ".lora_A.weight", ""},
            {prefix + MODULE + ".lora_A.default.weight", MODULE + ".lora_A.weight", "default"},
            {prefix + MODULE + ".lora_B.my_name.weight", MODULE + ".lora_B.weight", "my_name"},
            {prefix + MODULE + ".lora_B.bias", MODULE + ".lora_B.bias", ""},
            {prefix + MODULE + ".lora_B.default.bias", MODULE + ".lora_B.bias", "default"},
            {MODULE + ".lora_A.weight", MODULE + ".lora_A.weight", ""},
            {prefix + prefix + MODULE + ".lora_A.weight", MODULE + ".lora_A.weight", ""},
            {prefix + prefix + prefix + MODULE + ".ia3_l", MODULE + ".ia3_l", ""},
            {"module." + prefix + MODULE + ".ia3_l", MODULE + ".ia3_l", ""},
            {
                prefix + "_orig_mod.model._fsdp_wrapped_module.q.lora_A.weight",
                "model.q.lora_A.weight",
                ""
            },
            // AdaLoRA's matrices are parameters, not modules
            {prefix + MODULE + ".lora_A", MODULE + ".lora_A", ""},
            {prefix + MODULE + ".lora_E.default", MODULE + ".lora_E", "default"},
            {prefix + MODULE + ".ia3_l.default", MODULE + ".ia3_l", "default"},
            {prefix + MODULE + ".lora_embedding_A.x", MODULE + ".lora_embedding_A", "x"},
            {prefix + MODULE + ".hada_w1_a", MODULE + ".hada_w1_a", ""},
            {prefix + MODULE + ".lokr_w2.default", MODULE + ".lokr_w2", "default"},
            {prefix + MODULE + ".vera_lambda_b", MODULE + ".vera_lambda_b", ""},
            {"base_model.vera_A", "base_model.vera_A", ""},
            {"base_model.vera_A.default", "base_model.vera_A", "default"},
            // DoRA's magnitude, as saved, as in a state dict, and as PEFT before 0.11 kept it
            {prefix + MODULE + ".lora_magnitude_vector", MODULE + ".lora_magnitude_vector", ""},
            {
                prefix + MODULE + ".lora_magnitude_vector.weight",
                MODULE + ".lora_magnitude_vector",
                ""
            },
            {
                prefix + MODULE + ".lora_magnitude_vector.default.weight",
                MODULE + ".lora_magnitude_vector",
                "default"
            },
            {
                prefix + MODULE + ".lora_magnitude_vector.default",
                MODULE + ".lora_magnitude_vector",
                "default"
            },
            {
                prefix + MODULE + ".vblora_logits_A.default_topk_indices",
                MODULE + ".vblora_logits_A_topk_indices",
                "default"
            },
            {
                prefix + "model.embed_tokens.token_adapter.trainable_tokens_delta.default",
                "model.embed_tokens.token_adapter.trainable_tokens_delta",
                "default"
            },
            {prefix + "lm_head.weight", "lm_head.weight", ""},
            {prefix + "lm_head.modules_to_save.default.weight", "lm_head.weight", "default"},
            {prefix + "score.modules_to_save.default.dense.bias", "score.dense.bias", "default"},
            {prefix + MODULE + ".base_layer.bias", MODULE + ".base_layer.bias", ""},
            {"prompt_embeddings", "prompt_embeddings", ""},
            {MODULE + ".lora_down.weight", MODULE + ".lora_A.weight", ""},
            {MODULE + ".lora_up.weight", MODULE + ".lora_B.weight", ""},
            {MODULE + ".lora.down.weight", MODULE + ".lora_A.weight", ""},
            {MODULE + ".lora_linear_layer.up.weight", MODULE + ".lora_B.weight", ""},
            // a module that happens to be called so is none of LoRA's
            {"model.up.weight", "model.up.weight", ""},
            {"model.lora_A.deep.under.it", "model.lora_A.deep.under.it", ""},
        };
    }

    @Test(dataProvider = "names")
    public void namesAreThoseThatPeftSaves(String written, String expected, String adapter) {
        PeftName name = PeftName.of(written);

        assertEquals(name.name(), expected);
        assertEquals(name.adapter(), Optional.of(adapter).filter(text -> !text.isEmpty()));
        assertEquals(PeftName.of(expected).name(), expected, "a name once normalised stays");
    }

    @Test
    public void changesAreTold() {
        assertEquals(PeftName.of("base_model.model.q.lora_A.weight").changes(), Set.of());
        assertEquals(PeftName.of("base_model.vera_B").changes(), Set.of());
        assertEquals(PeftName.of("prompt_embeddings").changes(), Set.of());
        assertEquals(
                PeftName.of("q.lora_down.weight").changes(),
                Set.of(PeftName.Change.NO_PREFIX, PeftName.Change.DOWN_UP));
        assertEquals(
                PeftName.of("base_model.model.base_model.model.q.lora_A.weight").changes(),
                Set.of(PeftName.Change.PREFIX_AGAIN));
        assertEquals(
                PeftName.of("module.base_model.model.q.lora_A.weight").changes(),
                Set.of(PeftName.Change.WRAPPER));
    }
}
