/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

/**
 * An input on its way.
 *
 * @param <I> the type of inputs
 * @param <O> the type of outputs
 */
public class Job<I, O> {

    /**
     * Declares the constructor.
     *
     * @param wpc what runs it
     * @param input the input
     */
    public Job(WorkerPoolConfig<I, O> wpc, I input) {
        throw new UnsupportedOperationException("a declaration");
    }
}
