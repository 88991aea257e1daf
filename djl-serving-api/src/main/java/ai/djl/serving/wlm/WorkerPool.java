/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

/**
 * The workers of a model.
 *
 * @param <I> the type of inputs
 * @param <O> the type of outputs
 */
public class WorkerPool<I, O> {

    WorkerPool() {}

    /**
     * Returns what they run.
     *
     * @return the model
     */
    public WorkerPoolConfig<I, O> getWpc() {
        throw new UnsupportedOperationException("a declaration");
    }
}
