/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.core.Linear;
import ai.djl.pytorch.engine.PtNDArray;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Products of a few rows with weights of a model's feed-forward part, more of them than the caches
 * hold: the best rate that any way reaches for as many rows.
 */
final class RowMatmul implements AutoCloseable {

    private static final int IN = 896;
    private static final int OUT = 4864;
    private static final int WEIGHTS = 24;

    private final NDManager manager;
    private final NDArray x;
    private final int rows;
    private final List<NDArray> weights = new ArrayList<>();

    /**
     * Constructs a new {@code RowMatmul} instance.
     *
     * @param parent the manager to make arrays in
     * @param type their type
     * @param rows the number of rows
     */
    RowMatmul(NDManager parent, ElementType type, int rows) {
        this.rows = rows;
        manager = parent.newSubManager();
        OperatorData data = new OperatorData(type);
        x = data.tensor(manager, rows, IN);
        for (int i = 0; i < WEIGHTS; ++i) {
            weights.add(data.tensor(manager, OUT, IN));
        }
    }

    /** Returns the better rate of ATen's matmul and our own, in operations a second. */
    double bestRate() {
        double aten = rate(weight -> Linear.linear(x, weight).singletonOrThrow());
        double own = rate(this::ownLinear);
        return Math.max(aten, own);
    }

    private NDArray ownLinear(NDArray weight) {
        long handle =
                LoraNative.linear(((PtNDArray) x).getHandle(), ((PtNDArray) weight).getHandle(), 0);
        return new PtNDArray((ai.djl.pytorch.engine.PtNDManager) manager, handle);
    }

    private double rate(UnaryOperator<NDArray> product) {
        long start = System.nanoTime();
        for (NDArray weight : weights) {
            product.apply(weight).close();
        }
        double seconds = (System.nanoTime() - start) * 1e-9;
        return 2.0 * rows * IN * OUT * WEIGHTS / seconds;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
