/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.op.ModelLayout;
import java.util.List;

/**
 * Prompt tuning (arXiv 2104.08691) and P-tuning (arXiv 2103.10385): embeddings of virtual tokens
 * before a sequence's first. PEFT runs P-tuning's encoder when it saves, and saves what comes out.
 */
public final class PromptVariant implements AdapterVariant {

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("PROMPT_TUNING", "P_TUNING");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        VirtualTokens tokens = VirtualTokens.read(fields);
        fields.leave(
                "prompt_tuning_init",
                "prompt_tuning_init_text",
                "tokenizer_name_or_path",
                "tokenizer_kwargs",
                "encoder_reparameterization_type",
                "encoder_hidden_size",
                "encoder_num_layers");
        fields.leaveDropout("encoder_dropout");
        SavedModules saved = SavedModules.read(fields);
        return placement -> {
            place(placement, tokens.count());
            saved.place(placement);
        };
    }

    private static void place(Placement placement, int count) {
        ModelLayout.Embedding embedding =
                placement
                        .layout()
                        .embedding()
                        .orElseThrow(
                                () ->
                                        new LoraVariantException(
                                                placement.source()
                                                        + ": the model takes no virtual tokens: its embedding"
                                                        + " is not known"));
        placement
                .part("prompt", "virtual tokens", 0, 1)
                .require(
                        VirtualTokens.TENSOR,
                        "by num_virtual_tokens and the embedding's size",
                        count,
                        embedding.hidden())
                .apply((tensors, changes) -> changes.optPrompt(tensors.read(VirtualTokens.TENSOR)));
    }
}
