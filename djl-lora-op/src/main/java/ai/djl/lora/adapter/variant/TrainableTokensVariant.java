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
import com.google.gson.JsonElement;
import java.util.List;

/**
 * Trained rows of the embedding, on their own. Where the output layer shares the embedding's
 * weights, PEFT saves the rows a second time under the output layer's name.
 */
public final class TrainableTokensVariant implements AdapterVariant {

    private static final String FIELD = "token_indices";
    private static final String PARAMETER = ".trainable_tokens_delta";

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("TRAINABLE_TOKENS");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        fields.leave("init_weights");
        JsonElement value = fields.required(FIELD, "a list of tokens");
        int[] tokens = fields.wholes(FIELD, value);
        if (tokens.length == 0) {
            throw fields.wrong(FIELD, "a list of at least one token", value);
        }
        String where = fields.where(FIELD);
        return placement -> place(placement, where, tokens);
    }

    private static void place(Placement placement, String where, int... tokens) {
        ModelLayout.Embedding embedding =
                placement
                        .layout()
                        .embedding()
                        .orElseThrow(
                                () ->
                                        new LoraVariantException(
                                                where + ": the model's embedding is not known"));
        String tensor = embedding.name() + PARAMETER;
        TrainedTokens.place(placement, embedding, tensor, where, tokens);
        String output = SavedModules.outputLayer(placement.layout());
        String copy = output + PARAMETER;
        if (placement.tensors().containsKey(copy)) {
            if (embedding.tiedTo().isPresent()) {
                placement
                        .part(output, "trained tokens", 0, 1)
                        .require(
                                copy,
                                "by the number of tokens and the embedding's size",
                                tokens.length,
                                embedding.hidden())
                        // the embedding's rows count in the output layer that shares its weights
                        .apply((tensors, changes) -> tensors.read(copy));
                placement.requireEqual(tensor, copy);
            } else {
                placement.unused(
                        copy,
                        "holds rows of the output layer; supported are the embedding's alone");
            }
        }
    }
}
