/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.core.Linear;

/** Two of ATen's matmuls and an addition for each adapter, on views of its rows. */
public final class LoopCandidate implements OperatorCandidate {

    private final TensorOps ops;
    private final NDManager manager;
    private final int modules;
    private final long[] starts;
    private final long[] slots;
    private final NDArray[][] a; // [slot][module], each [rank, in]
    private final NDArray[][] b; // [slot][module], each [out, rank]
    private final NDArray x;
    private final NDArray y;

    /**
     * Constructs a new {@code LoopCandidate} instance.
     *
     * @param ops the operations of the {@code cpu} backend
     * @param parent the manager to make arrays in
     * @param data the numbers
     * @param shape the case
     * @param modules the number of modules
     */
    public LoopCandidate(
            TensorOps ops, NDManager parent, OperatorData data, OperatorCase shape, int modules) {
        this.ops = ops;
        this.modules = modules;
        manager = parent.newSubManager();
        BatchPlan plan = shape.plan();
        starts = plan.segmentStarts();
        slots = plan.slots();
        a = new NDArray[shape.adapters()][modules];
        b = new NDArray[shape.adapters()][modules];
        for (int slot = 0; slot < shape.adapters(); ++slot) {
            long rank = shape.rank(slot);
            PackedAdapter adapter = data.adapter(shape, modules, slot);
            NDArray allA = data.empty(manager, modules * rank, shape.in());
            NDArray allB = data.empty(manager, (long) modules * shape.out(), rank);
            int startB = Math.toIntExact(adapter.entries()[0].offsetB() * data.type().bytes());
            OperatorData.copy(adapter.data(), 0, allA, 0, startB);
            OperatorData.copy(adapter.data(), startB, allB, 0, adapter.data().length - startB);
            for (int m = 0; m < modules; ++m) {
                a[slot][m] = ops.rows(allA, m * rank, (m + 1) * rank);
                b[slot][m] = ops.rows(allB, (long) m * shape.out(), (m + 1L) * shape.out());
            }
        }
        x = data.tensor(manager, shape.tokens(), shape.in());
        y = data.tensor(manager, shape.tokens(), shape.out());
    }

    /** {@inheritDoc} */
    @Override
    public int modules() {
        return modules;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray x() {
        return x;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray y() {
        return y;
    }

    /** {@inheritDoc} */
    @Override
    public void apply(int module) {
        for (int s = 0; s < slots.length; ++s) {
            int slot = (int) slots[s];
            try (NDArray rows = ops.rows(x, starts[s], starts[s + 1]);
                    NDArray result = ops.rows(y, starts[s], starts[s + 1]);
                    NDArray inner = Linear.linear(rows, a[slot][module]).singletonOrThrow();
                    NDArray delta = Linear.linear(inner, b[slot][module]).singletonOrThrow()) {
                result.addi(delta);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
