/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jit.JitSelection;
import ai.djl.lora.jni.CudaStatus;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** The kernels of libdjl_lora for NVIDIA GPUs, for models whose arrays lie on one. */
final class CudaBackend implements LoraBackend {

    private final String name;
    private final JitSelection selection;
    private final NativeTensorOps ops = new NativeTensorOps();

    /**
     * Constructs a new {@code CudaBackend} instance.
     *
     * @param name the name by which users choose it
     * @param selection gives tables kernels of their own, or null where they use the library's
     */
    CudaBackend(String name, JitSelection selection) {
        this.name = name;
        this.selection = selection;
        LoraLibrary.load();
    }

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return name;
    }

    /** {@inheritDoc} */
    @Override
    public boolean supports(ElementType type) {
        return type == ElementType.FLOAT16 || type == ElementType.BFLOAT16;
    }

    /** {@inheritDoc} */
    @Override
    public TensorOps getTensorOps(ElementType type) {
        return ops;
    }

    /** {@inheritDoc} */
    @Override
    public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        return CudaLayout.bytes(modules, ranks);
    }

    /** {@inheritDoc} */
    @Override
    public AdapterTable newTable(
            NDManager manager, List<LoraModule> modules, ElementType type, long adapterMemory) {
        BackendChecks.supports(this, type);
        BackendChecks.adapterMemory(adapterMemory);
        if (!manager.getDevice().isGpu()) {
            throw new LoraBackendException(
                    "Backend "
                            + name
                            + " computes on a GPU; the model is on "
                            + manager.getDevice());
        }
        CudaKernelChoice kernels =
                selection == null
                        ? null
                        : new CudaKernelChoice(
                                selection,
                                CudaStatus.read().devices().get(NativeTensorOps.device(manager)),
                                type,
                                modules.stream().mapToLong(LoraModule::inFeatures).toArray());
        return new CudaAdapterTable(manager, modules, type, adapterMemory, kernels);
    }
}
