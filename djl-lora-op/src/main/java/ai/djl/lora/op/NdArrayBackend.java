/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** The backend {@code pytorch}: plain NDArray operations in float32, on every platform of DJL's. */
final class NdArrayBackend implements LoraBackend {

    static final String NAME = "pytorch";

    private final NdArrayTensorOps ops = new NdArrayTensorOps();

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NAME;
    }

    /** {@inheritDoc} */
    @Override
    public boolean supports(ElementType type) {
        return ops.supports(type);
    }

    /** {@inheritDoc} */
    @Override
    public TensorOps getTensorOps() {
        return ops;
    }

    /** {@inheritDoc} */
    @Override
    public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        return PackedAdapterChecks.bytes(modules, ranks, type);
    }

    /** {@inheritDoc} */
    @Override
    public AdapterTable newTable(NDManager manager, List<LoraModule> modules, ElementType type) {
        BackendChecks.supports(this, type);
        return new NdArrayAdapterTable(ops, manager, modules);
    }
}
