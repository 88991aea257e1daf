/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.ScoringRequest;

/**
 * Turns texts that are scored into tokens.
 *
 * <p>A context and its continuation are tokenised together, as the text that they are, and the
 * tokens behind as many as the context has alone are those of the continuation. Blanks at the
 * context's end count to the continuation, since tokenizers join them with the next word. This is
 * how EleutherAI's lm-evaluation-harness does it ({@code TemplateLM._encode_pair}).
 */
final class ScoringEncoder {

    private final TextTokenizer tokenizer;

    /**
     * Constructs a new {@code ScoringEncoder} instance.
     *
     * @param tokenizer the model's tokenizer
     */
    ScoringEncoder(TextTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * Turns an input into tokens.
     *
     * @param index the input's place in its batch
     * @param input the input
     * @return the request
     * @throws GenerationRequestException if there is nothing to score, or nothing before it
     */
    ScoringRequest encode(int index, ScoringInput input) {
        if (input == null || input.continuation() == null) {
            throw new GenerationRequestException(index, "the text is null; one is needed");
        }
        try {
            return input.context() == null
                    ? whole(index, input)
                    : pair(index, input, input.context().stripTrailing());
        } catch (GenerationRequestException e) {
            throw e;
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }

    private ScoringRequest whole(int index, ScoringInput input) {
        int[] tokens = tokenizer.encode(input.continuation());
        if (tokens.length < 2) {
            throw new GenerationRequestException(
                    index,
                    "the text has "
                            + tokens.length
                            + " tokens; a token is scored given one before it, so it needs two");
        }
        return new ScoringRequest(tokens, 1, input.adapter());
    }

    private ScoringRequest pair(int index, ScoringInput input, String context) {
        int[] tokens = tokenizer.encode(input.context() + input.continuation());
        int from = tokenizer.encode(context).length;
        if (from == 0) {
            throw new GenerationRequestException(
                    index,
                    "the context is empty and the tokenizer puts no token before a text; a token"
                            + " is scored given one before it");
        }
        if (from >= tokens.length) {
            throw new GenerationRequestException(
                    index,
                    "the continuation adds no token to the context's "
                            + from
                            + "; at least one is needed");
        }
        return new ScoringRequest(tokens, from, input.adapter());
    }
}
