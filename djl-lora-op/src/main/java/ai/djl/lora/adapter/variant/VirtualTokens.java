/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.ConfigFields;

/**
 * What the configurations of prompt learning have in common.
 *
 * @param count the number of virtual tokens
 */
record VirtualTokens(int count) {

    /** The only tensor of such an adapter. */
    static final String TENSOR = "prompt_embeddings";

    /** Reads the fields. */
    static VirtualTokens read(ConfigFields fields) {
        String name = "num_virtual_tokens";
        int count = fields.whole(name, fields.required(name, "a positive integer"), 1);
        String submodules = "num_transformer_submodules";
        fields.value(submodules)
                .filter(value -> fields.whole(submodules, value, 1) != 1)
                .ifPresent(
                        value -> {
                            throw fields.unsupported(
                                    submodules,
                                    value,
                                    "virtual tokens of an encoder and a decoder");
                        });
        // what the tensor's shape has to be follows from the model
        fields.leave("token_dim", "num_attention_heads", "num_layers");
        return new VirtualTokens(count);
    }
}
