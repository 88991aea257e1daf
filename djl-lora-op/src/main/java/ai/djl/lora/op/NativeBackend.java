/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.JniUtils;
import java.util.List;

/** The backend {@code cpu}: the operators of libdjl_lora and ATen's, called through JNI. */
final class NativeBackend implements LoraBackend {

    static final String NAME = "cpu";

    private final NativeTensorOps ops = new NativeTensorOps();

    NativeBackend() {
        LoraLibrary.load();
    }

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
    public TensorOps getTensorOps(ElementType type) {
        return ops;
    }

    /** {@inheritDoc} */
    @Override
    public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        return NativeLayout.bytes(modules, ranks, type);
    }

    /** {@inheritDoc} */
    @Override
    public AdapterTable newTable(
            NDManager manager, List<LoraModule> modules, ElementType type, long adapterMemory) {
        BackendChecks.supports(this, type);
        BackendChecks.adapterMemory(adapterMemory);
        return new NativeAdapterTable(manager, modules, type, adapterMemory);
    }

    /** {@inheritDoc} */
    @Override
    public void shareProcessor(int sharers) {
        // libtorch sets a thread's number when it is first asked for, and not again
        JniUtils.getNumThreads();
        LoraNative.useThreads(LoraNative.threads() / sharers);
    }

    /** {@inheritDoc} */
    @Override
    public void releaseThreads() {
        LoraNative.releaseThreads();
    }
}
