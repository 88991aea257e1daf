/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.peers;

import com.google.gson.annotations.SerializedName;
import java.util.List;

/**
 * What came of a turn.
 *
 * @param tokens what was generated for each prompt
 * @param logProbs the log-probabilities of these tokens, where they were asked for
 * @param firstSeconds the time until every prompt had its first token
 * @param seconds the time until all was done
 * @param decoded the tokens that were generated between the two
 */
record PeerAnswer(
        List<List<Integer>> tokens,
        @SerializedName("log_probs") List<List<Float>> logProbs,
        @SerializedName("first_seconds") double firstSeconds,
        double seconds,
        long decoded) {}
