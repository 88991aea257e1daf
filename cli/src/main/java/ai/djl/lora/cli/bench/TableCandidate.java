/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraModule;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;

/** A backend's operator, called as a model calls it. */
public final class TableCandidate implements OperatorCandidate {

    private final NDManager manager;
    private final AdapterTable table;
    private final int modules;
    private final BatchPlan plan;
    private final NDArray x;
    private final NDArray y;

    /**
     * Constructs a new {@code TableCandidate} instance.
     *
     * @param backend the backend
     * @param parent the manager to make arrays in
     * @param data the numbers, of a type that the backend supports
     * @param shape the case
     * @param modules the number of modules
     */
    public TableCandidate(
            LoraBackend backend,
            NDManager parent,
            OperatorData data,
            OperatorCase shape,
            int modules) {
        this.modules = modules;
        manager = parent.newSubManager();
        plan = shape.plan();
        List<LoraModule> list = new ArrayList<>();
        for (int m = 0; m < modules; ++m) {
            list.add(new LoraModule(m, "module." + m, shape.in(), shape.out()));
        }
        table = backend.newTable(manager, list, data.type(), 0);
        for (int slot = 0; slot < shape.adapters(); ++slot) {
            table.put(slot, data.adapter(shape, modules, slot));
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
        table.apply(module, x, y, null, plan);
    }

    /**
     * Applies every module by itself to the outputs in turn, as a model's projections have theirs.
     */
    void applyEach(NDArray... outputs) {
        for (int m = 0; m < modules; ++m) {
            table.apply(m, x, outputs[m % outputs.length], null, plan);
        }
    }

    /** Applies modules that share their input together, as many as there are outputs. */
    void applyGroups(NDArray... outputs) {
        int size = outputs.length;
        NDArray[] biases = new NDArray[size];
        for (int m = 0; m + size <= modules; m += size) {
            int[] group = new int[size];
            for (int i = 0; i < size; ++i) {
                group[i] = m + i;
            }
            table.applyGroup(group, x, outputs, biases, plan);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        table.close();
        manager.close();
    }
}
