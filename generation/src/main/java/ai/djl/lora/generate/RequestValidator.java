/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;
import java.util.List;

/** Checks requests against the limits of a model before anything is generated. */
final class RequestValidator {

    private final int vocabSize;
    private final int positions;

    /**
     * Constructs a new {@code RequestValidator} instance.
     *
     * @param vocabSize the number of tokens that the model knows
     * @param positions the number of positions that the model has
     */
    RequestValidator(int vocabSize, int positions) {
        this.vocabSize = vocabSize;
        this.positions = positions;
    }

    /**
     * Checks all requests.
     *
     * @param requests the requests
     * @throws GenerationRequestException for the first that cannot be generated
     */
    void validate(List<GenerationRequest> requests) {
        for (int i = 0; i < requests.size(); ++i) {
            GenerationRequest request = requests.get(i);
            if (request == null) {
                throw new GenerationRequestException(i, "is null; a request is needed");
            }
            validatePrompt(i, request.promptTokens());
            validateSampling(i, request.sampling());
        }
    }

    private void validatePrompt(int index, int[] prompt) {
        if (prompt == null || prompt.length == 0) {
            throw new GenerationRequestException(
                    index, "promptTokens is empty; at least one token is needed");
        }
        for (int i = 0; i < prompt.length; ++i) {
            if (prompt[i] < 0 || prompt[i] >= vocabSize) {
                throw new GenerationRequestException(
                        index,
                        "promptTokens["
                                + i
                                + "] is "
                                + prompt[i]
                                + "; the model's vocabulary is 0 to "
                                + (vocabSize - 1));
            }
        }
        if (prompt.length >= positions) {
            throw new GenerationRequestException(
                    index,
                    "promptTokens has "
                            + prompt.length
                            + " tokens; the model has "
                            + positions
                            + " positions and one new token needs one, so a prompt has at most "
                            + (positions - 1));
        }
    }

    private static void validateSampling(int index, SamplingParameters sampling) {
        if (sampling == null) {
            throw new GenerationRequestException(
                    index, "sampling is null; sampling parameters are needed");
        }
        try {
            sampling.validate();
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }
}
