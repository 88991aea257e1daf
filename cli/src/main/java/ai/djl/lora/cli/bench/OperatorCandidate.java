/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.ndarray.NDArray;

/**
 * A way to add to each row of a case what its adapter makes of it, with x, y and the weights of
 * many modules in memory.
 */
public interface OperatorCandidate extends AutoCloseable {

    /**
     * Returns the number of modules.
     *
     * @return the number of modules
     */
    int modules();

    /**
     * Returns the input of every module.
     *
     * @return x [tokens, in]
     */
    NDArray x();

    /**
     * Returns what every module adds to.
     *
     * @return y [tokens, out]
     */
    NDArray y();

    /**
     * Adds the adapters' products for one module to y.
     *
     * @param module the module's index
     */
    void apply(int module);

    /** Adds the adapters' products for every module to y. */
    default void applyAll() {
        for (int m = 0; m < modules(); ++m) {
            apply(m);
        }
    }

    /** Frees the weights, x and y. */
    @Override
    void close();
}
