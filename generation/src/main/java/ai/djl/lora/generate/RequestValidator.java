/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.op.SequenceStart;
import java.util.Arrays;
import java.util.List;

/** Checks requests against the limits of a model before anything is generated. */
public final class RequestValidator {

    private final int vocabSize;
    private final int positions;

    /**
     * Constructs a new {@code RequestValidator} instance.
     *
     * @param vocabSize the number of tokens that the model knows
     * @param positions the number of positions that the model has
     */
    public RequestValidator(int vocabSize, int positions) {
        this.vocabSize = vocabSize;
        this.positions = positions;
    }

    /**
     * Checks all requests.
     *
     * @param requests the requests
     * @throws GenerationRequestException for the first that cannot be generated
     */
    public void validate(List<GenerationRequest> requests) {
        for (int i = 0; i < requests.size(); ++i) {
            GenerationRequest request = requests.get(i);
            if (request == null) {
                throw new GenerationRequestException(i, "is null; a request is needed");
            }
            validateTokens(i, "promptTokens", request.promptTokens());
            validateRoom(i, request.promptTokens());
            validateSampling(i, request.sampling());
        }
    }

    /**
     * Checks a text that is to be read.
     *
     * @param index the request's place in the batch
     * @param request the request
     * @throws GenerationRequestException if it cannot be read
     */
    public void validate(int index, ReadRequest<?> request) {
        if (request == null) {
            throw new GenerationRequestException(index, "is null; a request is needed");
        }
        int[] tokens = request.tokens();
        validateTokens(index, "tokens", tokens);
        if (tokens.length > positions) {
            throw new PromptTooLongException(
                    index,
                    "tokens has "
                            + tokens.length
                            + " tokens; the model has "
                            + positions
                            + " positions");
        }
        if (request instanceof ScoringRequest scoring
                && (scoring.from() < 1 || scoring.from() >= tokens.length)) {
            throw new GenerationRequestException(
                    index,
                    "from is "
                            + scoring.from()
                            + " and tokens has "
                            + tokens.length
                            + " tokens; at least one is scored, and one stands before it");
        }
        if (request instanceof EmbeddingRequest embedding && embedding.pooling() == null) {
            throw new GenerationRequestException(index, "pooling is null; one is needed");
        }
    }

    /**
     * Checks that a request's adapter can begin at its text, before anything runs.
     *
     * @param index the request's place in the batch
     * @param request the request, valid for the model
     * @param start what its adapter asks of a sequence
     * @throws GenerationRequestException if the adapter's virtual tokens leave too few positions,
     *     or the text lacks the tokens that switch the adapter on
     */
    public void validateAdapter(int index, ReadRequest<?> request, SequenceStart start) {
        int most = positions - start.virtualTokens();
        if (request.tokens().length > most) {
            throw new PromptTooLongException(
                    index,
                    "tokens has "
                            + request.tokens().length
                            + " tokens; the model has "
                            + positions
                            + " positions and adapter \""
                            + request.adapter()
                            + "\" takes "
                            + start.virtualTokens()
                            + ", so a text has at most "
                            + Math.max(0, most));
        }
        validateInvocation(index, "tokens", request.tokens(), request.adapter(), start);
    }

    /**
     * Checks that a request's adapter can begin at its prompt, before anything runs.
     *
     * @param index the request's place in the batch
     * @param request the request, valid for the model
     * @param start what its adapter asks of a sequence
     * @throws GenerationRequestException if the adapter's virtual tokens leave no position for a
     *     new token, or the prompt lacks the tokens that switch the adapter on. PEFT answers such a
     *     prompt as the base model does; here that would pass off a base answer as an adapted one
     */
    public void validateAdapter(int index, GenerationRequest request, SequenceStart start) {
        int[] prompt = request.promptTokens();
        int most = positions - 1 - start.virtualTokens();
        if (prompt.length > most) {
            throw new PromptTooLongException(
                    index,
                    "promptTokens has "
                            + prompt.length
                            + " tokens; the model has "
                            + positions
                            + " positions, adapter \""
                            + request.adapter()
                            + "\" takes "
                            + start.virtualTokens()
                            + " and one new token needs one, so a prompt has at most "
                            + Math.max(0, most));
        }
        validateInvocation(index, "promptTokens", prompt, request.adapter(), start);
    }

    private static void validateInvocation(
            int index, String field, int[] tokens, String adapter, SequenceStart start) {
        if (start.activeFrom(tokens) < 0) {
            throw new GenerationRequestException(
                    index,
                    field
                            + " lacks the invocation tokens "
                            + Arrays.toString(start.invocationTokens())
                            + " from which on adapter \""
                            + adapter
                            + "\" acts; a prompt must hold them in this order");
        }
    }

    private void validateTokens(int index, String field, int[] tokens) {
        if (tokens == null || tokens.length == 0) {
            throw new GenerationRequestException(
                    index, field + " is empty; at least one token is needed");
        }
        for (int i = 0; i < tokens.length; ++i) {
            if (tokens[i] < 0 || tokens[i] >= vocabSize) {
                throw new GenerationRequestException(
                        index,
                        field
                                + "["
                                + i
                                + "] is "
                                + tokens[i]
                                + "; the model's vocabulary is 0 to "
                                + (vocabSize - 1));
            }
        }
    }

    private void validateRoom(int index, int[] prompt) {
        if (prompt.length >= positions) {
            throw new PromptTooLongException(
                    index,
                    "promptTokens has "
                            + prompt.length
                            + " tokens; the model has "
                            + positions
                            + " positions and one new token needs one, so a prompt has at most "
                            + (positions - 1));
        }
    }

    private void validateSampling(int index, SamplingParameters sampling) {
        if (sampling == null) {
            throw new GenerationRequestException(
                    index, "sampling is null; sampling parameters are needed");
        }
        try {
            sampling.checkVocabulary(vocabSize);
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
        if (!sampling.stopStrings().isEmpty()) {
            throw new GenerationRequestException(
                    index, "stopStrings is not served for token ids; it must be empty");
        }
    }
}
