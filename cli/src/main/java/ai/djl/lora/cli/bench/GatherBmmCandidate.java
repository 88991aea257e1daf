/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Arrays;

/**
 * Gathers A and B of each row's adapter out of a bank of all, and multiplies them as a batch of
 * small matrices. Adapters of lower ranks are padded with zeros.
 */
public final class GatherBmmCandidate implements OperatorCandidate {

    private final TensorOps ops;
    private final NDManager manager;
    private final OperatorCase shape;
    private final int rank;
    private final int modules;
    private final NDArray index;
    private final NDArray[] a; // [module], each [adapters, rank * in]
    private final NDArray[] b; // [module], each [adapters, out * rank]
    private final NDArray x;
    private final NDArray y;
    private boolean transposed;

    /**
     * Constructs a new {@code GatherBmmCandidate} instance.
     *
     * @param ops the operations of the {@code cpu} backend
     * @param parent the manager to make arrays in
     * @param data the numbers
     * @param shape the case
     * @param modules the number of modules
     */
    public GatherBmmCandidate(
            TensorOps ops, NDManager parent, OperatorData data, OperatorCase shape, int modules) {
        this.ops = ops;
        this.shape = shape;
        this.modules = modules;
        manager = parent.newSubManager();
        rank = shape.highestRank();
        index = manager.create(slotOfRow(shape));
        a = new NDArray[modules];
        b = new NDArray[modules];
        for (int m = 0; m < modules; ++m) {
            a[m] = data.empty(manager, shape.adapters(), (long) rank * shape.in());
            b[m] = data.empty(manager, shape.adapters(), (long) rank * shape.out());
        }
        for (int slot = 0; slot < shape.adapters(); ++slot) {
            fill(slot, data.adapter(shape, modules, slot), data.type());
        }
        x = data.tensor(manager, shape.tokens(), shape.in());
        y = data.tensor(manager, shape.tokens(), shape.out());
    }

    private static long[] slotOfRow(OperatorCase shape) {
        BatchPlan plan = shape.plan();
        long[] starts = plan.segmentStarts();
        long[] slots = plan.slots();
        long[] slotOfRow = new long[shape.tokens()];
        for (int s = 0; s < slots.length; ++s) {
            Arrays.fill(slotOfRow, (int) starts[s], (int) starts[s + 1], slots[s]);
        }
        return slotOfRow;
    }

    private void fill(int slot, PackedAdapter adapter, ElementType type) {
        int own = shape.rank(slot) * type.bytes();
        int padded = rank * type.bytes();
        byte[] rowsOfA = new byte[padded * shape.in()];
        byte[] rowsOfB = new byte[padded * shape.out()];
        for (int m = 0; m < modules; ++m) {
            PackedAdapter.Entry entry = adapter.entries()[m];
            int startA = (int) entry.offsetA() * type.bytes();
            int startB = (int) entry.offsetB() * type.bytes();
            System.arraycopy(adapter.data(), startA, rowsOfA, 0, own * shape.in());
            for (int o = 0; o < shape.out(); ++o) {
                System.arraycopy(adapter.data(), startB + o * own, rowsOfB, o * padded, own);
            }
            OperatorData.copy(rowsOfA, 0, a[m], (long) slot * rowsOfA.length, rowsOfA.length);
            OperatorData.copy(rowsOfB, 0, b[m], (long) slot * rowsOfB.length, rowsOfB.length);
        }
    }

    /** Takes the weights from the other side of x from now on. */
    public void transpose() {
        transposed = !transposed;
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
        long tokens = shape.tokens();
        try (NDManager scratch = manager.newSubManager()) {
            scratch.tempAttachAll(index, x);
            NDArray gatheredA = ops.embedding(a[module], index).reshape(tokens, rank, shape.in());
            NDArray gatheredB = ops.embedding(b[module], index).reshape(tokens, shape.out(), rank);
            NDArray delta;
            if (transposed) {
                NDArray inner =
                        x.reshape(tokens, 1, shape.in()).batchMatMul(gatheredA.transpose(0, 2, 1));
                delta = inner.batchMatMul(gatheredB.transpose(0, 2, 1));
            } else {
                NDArray inner = gatheredA.batchMatMul(x.reshape(tokens, shape.in(), 1));
                delta = gatheredB.batchMatMul(inner);
            }
            y.addi(delta.reshape(tokens, shape.out()));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
