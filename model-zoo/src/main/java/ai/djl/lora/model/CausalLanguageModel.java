/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Optional;

/** A language model that predicts the next token, sequence by sequence, each with its adapter. */
public interface CausalLanguageModel extends AdaptedBlock {

    /**
     * Returns the model's configuration.
     *
     * @return the configuration
     */
    LlamaConfig getConfig();

    /**
     * Makes the empty cache of a new sequence, in a pool of its own with room for the model's
     * positions. Many sequences at a time are faster, and take less memory, in one pool.
     *
     * @param manager the manager that the cache's memory is to belong to
     * @return the cache, owned by the caller
     */
    KvCache newKvCache(NDManager manager);

    /**
     * Makes memory for the keys and values of many sequences.
     *
     * @param manager the manager that the memory is to belong to
     * @param blocks the number of blocks of {@link KvPool#BLOCK_POSITIONS} positions
     * @return the pool, owned by the caller
     */
    default KvPool newKvPool(NDManager manager, int blocks) {
        return newKvPool(manager, blocks, KvType.MODEL);
    }

    /**
     * Makes memory for the keys and values of many sequences.
     *
     * @param manager the manager that the memory is to belong to
     * @param blocks the number of blocks of {@link KvPool#BLOCK_POSITIONS} positions
     * @param type how they are held
     * @return the pool, owned by the caller
     * @throws ai.djl.lora.LoraBackendException if the backend does not attend to that type
     */
    KvPool newKvPool(NDManager manager, int blocks, KvType type);

    /**
     * Returns which layers' weights lie in the host's memory, and what was copied for that.
     *
     * @return the numbers; empty where layers cannot be offloaded, as on the CPU
     */
    default Optional<OffloadStatistics> getOffloadStatistics() {
        return Optional.empty();
    }

    /**
     * Computes the logits of the tokens that a step adds to its sequences.
     *
     * <p>The step is checked whole before anything is computed. When it succeeds each cache has
     * grown by its sequence's tokens, and by its adapter's virtual tokens where the sequence
     * starts; when it fails, the caches' lengths are what they were. Steps may run on several
     * threads at once if they share no cache.
     *
     * @param manager the manager to attach the result to
     * @param step the sequences and their new tokens
     * @return logits, float32: [sequences, vocabulary], for the last new token of each sequence in
     *     the step's order, or for as many as were asked for; with {@link
     *     ForwardStep#allPositions()} [tokens, vocabulary], for every new token, sequences one
     *     behind the other. Virtual tokens have none
     * @throws ai.djl.lora.LoraConfigurationException if a token is not in the vocabulary, a
     *     sequence grows beyond the model's positions, or it cannot begin to use its adapter: its
     *     new tokens lack the adapter's invocation tokens, or tokens are before its virtual ones
     */
    NDArray forward(NDManager manager, ForwardStep step);

    /**
     * Computes a step as {@link #forward} does, up to the output layer.
     *
     * @param manager the manager that the states are to belong to
     * @param step the sequences and their new tokens
     * @return what the last norm makes of each new token that {@link #forward} would compute the
     *     logits of, in its order
     * @throws ai.djl.lora.LoraConfigurationException as {@link #forward} does
     */
    StepStates states(NDManager manager, ForwardStep step);

    /**
     * Returns how much memory a step's arrays take at a time, without the caches.
     *
     * @param tokens the number of new tokens
     * @param outputs the number of rows of logits
     * @return the bytes of the layer or of the output layer, whichever are more
     */
    long activationBytes(int tokens, int outputs);
}
