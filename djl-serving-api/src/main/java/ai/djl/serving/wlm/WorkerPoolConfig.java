/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

/**
 * What a pool of workers runs.
 *
 * @param <I> the type of inputs
 * @param <O> the type of outputs
 */
public abstract class WorkerPoolConfig<I, O> {

    /** Declares the constructor. */
    protected WorkerPoolConfig() {}

    /**
     * Returns how it stands.
     *
     * @return the status
     */
    public abstract Status getStatus();

    /**
     * Returns its name.
     *
     * @return the name
     */
    public String getId() {
        throw new UnsupportedOperationException("a declaration");
    }

    /** How a configuration stands. */
    public enum Status {
        /** Not loaded. */
        PENDING,
        /** Loaded. */
        READY,
        /** Not loadable. */
        FAILED
    }
}
