/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import java.util.Arrays;

/** Takes the log-probability of each token from the row before it. */
final class ScoreReader extends PromptReader<ScoringResult> {

    private final ScoringRequest request;
    private final float[] logProbs;
    private final boolean[] greedy;

    /**
     * Constructs a new {@code ScoreReader} instance.
     *
     * @param request the request, valid
     */
    ScoreReader(ScoringRequest request) {
        // nothing follows the last token, which is not run
        super(request.from() - 1, request.tokens().length - 1);
        this.request = request;
        this.logProbs = new float[request.tokens().length - request.from()];
        this.greedy = new boolean[logProbs.length];
    }

    /** Returns the token behind a row, whose probability the row says. */
    int target(int row) {
        return request.tokens()[row + 1];
    }

    /**
     * Takes a row, unless it was taken before.
     *
     * @param row the row
     * @param logProb the log-probability of its target
     * @param mostLikely the token whose probability is the greatest
     */
    void take(int row, float logProb, int mostLikely) {
        if (row == next()) {
            int index = row + 1 - request.from();
            logProbs[index] = logProb;
            greedy[index] = mostLikely == target(row);
            advance();
        }
    }

    /** {@inheritDoc} */
    @Override
    ScoringResult result(GenerationResult end) {
        return new ScoringResult(
                end.adapter(),
                Arrays.copyOfRange(request.tokens(), request.from(), request.tokens().length),
                logProbs,
                greedy,
                end.revision(),
                end.substitution());
    }
}
