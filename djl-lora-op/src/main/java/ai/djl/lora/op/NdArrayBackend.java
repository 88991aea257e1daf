/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** The backend {@code pytorch}: plain NDArray operations in float32, on every platform of DJL's. */
final class NdArrayBackend implements LoraBackend {

    static final String NAME = "pytorch";

    private final NdArrayTensorOps ops = new NdArrayTensorOps();

    /* DJL has no bfloat16 of its own, and libtorch's norms in float16 are not what models expect. */
    private final TensorOps halfOps = LoraLibrary.isAvailable() ? new NativeTensorOps() : null;

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NAME;
    }

    /**
     * {@inheritDoc}
     *
     * <p>The 16-bit types need the native library to hold and to convert them. Adapters are applied
     * in float32 all the same.
     */
    @Override
    public boolean supports(ElementType type) {
        return type == ElementType.FLOAT32 || halfOps != null;
    }

    /** {@inheritDoc} */
    @Override
    public TensorOps getTensorOps(ElementType type) {
        BackendChecks.supports(this, type);
        return type == ElementType.FLOAT32 ? ops : halfOps;
    }

    /** {@inheritDoc} */
    @Override
    public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        return PackedAdapterChecks.bytes(modules, ranks, ElementType.FLOAT32);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Here each adapter has arrays of its own.
     */
    @Override
    public AdapterTable newTable(
            NDManager manager, List<LoraModule> modules, ElementType type, long adapterMemory) {
        BackendChecks.adapterMemory(adapterMemory);
        return new NdArrayAdapterTable(ops, getTensorOps(type), type, manager, modules);
    }
}
