/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.peers;

import com.google.gson.annotations.SerializedName;

/**
 * The work of one turn, a line of JSON as {@code benchmarks/peers/protocol.py} says.
 *
 * @param prompts the token ids of each prompt
 * @param adapters the index of each prompt's adapter, -1 for none
 * @param newTokens how many tokens each generates
 * @param logProbs whether the log-probabilities of these tokens are wanted
 */
record PeerRequest(
        int[][] prompts,
        int[] adapters,
        @SerializedName("new_tokens") int newTokens,
        @SerializedName("log_probs") boolean logProbs) {}
