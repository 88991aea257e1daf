/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.Pooling;

/** Pools the states of a text's tokens. */
final class EmbeddingReader extends PromptReader<EmbeddingResult> {

    private final EmbeddingRequest request;

    /** The weighted sum of the rows that were taken; in double, so that texts may be long. */
    private final double[] sum;

    private double weights;

    /**
     * Constructs a new {@code EmbeddingReader} instance.
     *
     * @param request the request, valid
     * @param size the size of a state
     */
    EmbeddingReader(EmbeddingRequest request, int size) {
        super(
                request.pooling() == Pooling.LAST_TOKEN ? request.tokens().length - 1 : 0,
                request.tokens().length);
        this.request = request;
        this.sum = new double[size];
    }

    /**
     * Takes a row, unless it was taken before.
     *
     * @param row the row
     * @param states states, one row behind the other
     * @param offset where the row's begins
     * @throws LoraBackendException if the row's state is not finite
     */
    void take(int row, float[] states, int offset) {
        if (row != next()) {
            return;
        }
        double weight = request.pooling() == Pooling.WEIGHTED_MEAN ? row + 1 : 1;
        for (int i = 0; i < sum.length; ++i) {
            float value = states[offset + i];
            if (!Float.isFinite(value)) {
                throw new LoraBackendException(
                        "a state of the model is NaN or infinite; it must be finite");
            }
            sum[i] += weight * value;
        }
        weights += weight;
        advance();
    }

    /** {@inheritDoc} */
    @Override
    EmbeddingResult result(GenerationResult end) {
        double divisor = weights;
        if (request.normalize()) {
            double squares = 0;
            for (double value : sum) {
                squares += value * value;
            }
            // as torch's normalize: a vector of zeros stays one
            divisor = Math.max(Math.sqrt(squares), Double.MIN_NORMAL);
        }
        float[] vector = new float[sum.length];
        for (int i = 0; i < vector.length; ++i) {
            vector[i] = (float) (sum[i] / divisor);
        }
        return new EmbeddingResult(
                end.adapter(), vector, request.tokens().length, end.revision(), end.substitution());
    }
}
