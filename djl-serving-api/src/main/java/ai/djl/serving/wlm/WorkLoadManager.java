/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

import java.util.concurrent.CompletableFuture;

/** Runs jobs. */
public class WorkLoadManager {

    /** Declares the constructor. */
    public WorkLoadManager() {}

    /**
     * Runs a job.
     *
     * @param job the job
     * @param <I> the type of inputs
     * @param <O> the type of outputs
     * @return its end
     */
    public <I, O> CompletableFuture<O> runJob(Job<I, O> job) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns the workers of a model.
     *
     * @param id the model's name
     * @param <I> the type of inputs
     * @param <O> the type of outputs
     * @return the workers, or null
     */
    public <I, O> WorkerPool<I, O> getWorkerPoolById(String id) {
        throw new UnsupportedOperationException("a declaration");
    }
}
