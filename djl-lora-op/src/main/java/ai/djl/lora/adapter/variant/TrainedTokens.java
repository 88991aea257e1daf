/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.ModelLayout;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The rows of the embedding that an adapter replaces: {@code trainable_token_indices} (PEFT's
 * {@code TrainableTokensLayer}; what is saved are the new rows, though the tensor is called a
 * delta). Where the output layer shares the embedding's weights, the rows count there as well.
 */
final class TrainedTokens {

    /** For methods that train none. */
    static final TrainedTokens NONE = new TrainedTokens("", Map.of());

    private static final String FIELD = "trainable_token_indices";
    private static final String PARAMETER = ".token_adapter.trainable_tokens_delta";

    /** The name that PEFT takes a plain list's embedding to have. */
    private static final String EMBEDDING = "embed_tokens";

    private final String where;
    private final Map<String, int[]> tokens;

    private TrainedTokens(String where, Map<String, int[]> tokens) {
        this.where = where;
        this.tokens = tokens;
    }

    /** Reads the field. */
    static TrainedTokens read(ConfigFields fields) {
        Map<String, int[]> tokens = new LinkedHashMap<>();
        Optional<JsonElement> value = fields.value(FIELD);
        if (value.isPresent() && value.get() instanceof JsonArray list) {
            tokens.put(EMBEDDING, fields.wholes(FIELD, list));
        } else {
            fields.members(FIELD)
                    .forEach(
                            (module, list) ->
                                    tokens.put(module, fields.wholes(FIELD + '.' + module, list)));
        }
        tokens.values().removeIf(indices -> indices.length == 0);
        return new TrainedTokens(fields.where(FIELD), tokens);
    }

    /** Returns whether there are none. */
    boolean isEmpty() {
        return tokens.isEmpty();
    }

    /** Places the rows. */
    void place(Placement placement) {
        tokens.forEach((module, indices) -> place(placement, module, indices));
    }

    private void place(Placement placement, String module, int... indices) {
        ModelLayout.Embedding embedding =
                placement.layout().embedding().filter(e -> e.name().endsWith(module)).orElse(null);
        if (embedding != null) {
            place(placement, embedding, embedding.name() + PARAMETER, where, indices);
        } else {
            throw new LoraVariantException(
                    where
                            + " names rows of "
                            + Message.quote(module)
                            + "; supported are those of the embedding alone");
        }
    }

    /**
     * Places rows of an embedding.
     *
     * @param placement the tensors and the model
     * @param embedding the embedding
     * @param tensor what holds the rows
     * @param where the file and field of the tokens, for messages
     * @param indices the tokens
     */
    static void place(
            Placement placement,
            ModelLayout.Embedding embedding,
            String tensor,
            String where,
            int... indices) {
        placement.addSetting("tokens " + embedding.name(), Arrays.toString(indices));
        if (Arrays.stream(indices).distinct().count() < indices.length) {
            placement.addIssue(
                    Severity.ERROR, "config-tokens", where + " names a token more than once");
        }
        for (int token : indices) {
            if (token >= embedding.vocabulary()) {
                placement.addIssue(
                        Severity.ERROR,
                        "config-tokens",
                        where
                                + " names the token "
                                + token
                                + ", the model's vocabulary has "
                                + embedding.vocabulary());
                break;
            }
        }
        placement
                .part(embedding.name(), "trained tokens", 0, 1)
                .require(
                        tensor,
                        "by the number of tokens and the embedding's size",
                        indices.length,
                        embedding.hidden())
                .apply(
                        (tensors, changes) ->
                                changes.embedding().optRows(indices, tensors.read(tensor)));
    }
}
