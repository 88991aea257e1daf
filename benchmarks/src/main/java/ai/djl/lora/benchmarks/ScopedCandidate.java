/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.OperatorCandidate;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/**
 * Frees what a candidate leaves behind after each call, as a model's step does: the {@code pytorch}
 * backend gives its intermediate arrays to the manager of x and y.
 */
final class ScopedCandidate implements OperatorCandidate {

    private final NDManager manager;
    private final OperatorCandidate candidate;

    /**
     * Constructs a new {@code ScopedCandidate} instance.
     *
     * @param manager the parent of each call's manager
     * @param candidate the candidate, closed with this one
     */
    ScopedCandidate(NDManager manager, OperatorCandidate candidate) {
        this.manager = manager;
        this.candidate = candidate;
    }

    /** {@inheritDoc} */
    @Override
    public int modules() {
        return candidate.modules();
    }

    /** {@inheritDoc} */
    @Override
    public NDArray x() {
        return candidate.x();
    }

    /** {@inheritDoc} */
    @Override
    public NDArray y() {
        return candidate.y();
    }

    /** {@inheritDoc} */
    @Override
    public void apply(int module) {
        try (NDManager scope = manager.newSubManager()) {
            scope.tempAttachAll(candidate.x(), candidate.y());
            candidate.apply(module);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        candidate.close();
    }
}
