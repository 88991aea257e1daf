/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** The backend {@code cpu}: the operators of libdjl_lora and ATen's, called through JNI. */
final class NativeBackend implements LoraBackend {

    static final String NAME = "cpu";

    private static final int CACHE_LINE = 64;
    private static final int TILE = 16;

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
        if (ranks.length != modules.size()) {
            throw new IllegalArgumentException(
                    ranks.length + " ranks were given for " + modules.size() + " modules");
        }
        // the native table's layout: A as it is, B in tiles of 16 outputs, each on a cache line
        long bytes = 0;
        for (LoraModule module : modules) {
            long rank = ranks[module.index()];
            long columns = type == ElementType.BFLOAT16 ? roundUp(rank, 2) : rank;
            bytes += roundUp(rank * module.inFeatures() * type.bytes(), CACHE_LINE);
            bytes +=
                    roundUp(
                            roundUp(module.outFeatures(), TILE) * columns * type.bytes(),
                            CACHE_LINE);
        }
        return bytes;
    }

    private static long roundUp(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }

    /** {@inheritDoc} */
    @Override
    public AdapterTable newTable(
            NDManager manager, List<LoraModule> modules, ElementType type, long adapterMemory) {
        BackendChecks.supports(this, type);
        BackendChecks.adapterMemory(adapterMemory);
        return new NativeAdapterTable(manager, modules, type, adapterMemory);
    }
}
