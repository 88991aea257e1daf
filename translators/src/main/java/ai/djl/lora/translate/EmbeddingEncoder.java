/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.Pooling;

/**
 * Turns texts of which vectors are made into tokens, with the special tokens of the tokenizer.
 *
 * @param tokenizer the model's tokenizer
 * @param pooling how one vector is made of the tokens'
 * @param normalize whether vectors are divided by their length
 */
record EmbeddingEncoder(TextTokenizer tokenizer, Pooling pooling, boolean normalize) {

    /**
     * Turns an input into tokens.
     *
     * @param index the input's place in its batch
     * @param input the input
     * @return the request
     * @throws GenerationRequestException if the text cannot be tokenised
     */
    EmbeddingRequest encode(int index, EmbeddingInput input) {
        if (input == null || input.text() == null) {
            throw new GenerationRequestException(index, "the text is null; one is needed");
        }
        try {
            return new EmbeddingRequest(
                    tokenizer.encode(input.text()), pooling, normalize, input.adapter());
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }
}
