/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.lora.jni.LoraNative;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/** How adapters' bytes come to a table on a device. Used by any number of threads. */
abstract class CudaUpload implements AutoCloseable {

    private final NDManager manager;

    /**
     * Constructs a new {@code CudaUpload} instance.
     *
     * @param manager the manager of what is needed meanwhile; stays the caller's
     */
    CudaUpload(NDManager manager) {
        this.manager = manager;
    }

    /**
     * Where an adapter is to lie.
     *
     * @param table the native table
     * @param slot its slot, which is empty
     * @param arena the handle of the memory
     * @param offset where in it the adapter begins
     * @param bytes what it takes
     */
    record Target(long table, int slot, long arena, long offset, long bytes) {}

    /**
     * Puts an adapter into a slot. When this returns it can be computed with.
     *
     * @param target where it is to lie
     * @param adapter the adapter
     */
    final void put(Target target, PackedAdapter adapter) {
        int elementBytes = adapter.type().bytes();
        long[] shape = {adapter.data().length / elementBytes};
        long handle = LoraNative.empty(adapter.type().code(), shape);
        try (NDArray block = NativeTensorOps.wrap(manager, handle)) {
            LoraNative.copyFromBytes(handle, 0, adapter.data(), 0, adapter.data().length);
            put(
                    target,
                    NativeTensorOps.handle(block),
                    NativeLayout.rows(adapter),
                    NativeLayout.scales(adapter));
        }
    }

    /**
     * Puts an adapter into a slot.
     *
     * @param target where it is to lie
     * @param block the adapter's parts, on the CPU
     * @param layout where they lie in it
     * @param scales the factor of each module's product
     */
    abstract void put(Target target, long block, long[] layout, float[] scales);

    /**
     * Takes note that libtorch's stream was given work on memory that later adapters may be written
     * to: what ran before must have ended by then.
     */
    void memoryChanged() {}

    /**
     * Gives back what is kept for the next adapters.
     *
     * @return how many bytes
     */
    long trim() {
        return 0;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {}

    /** Copies in the order of libtorch's own stream, and waits for it. */
    static final class InStream extends CudaUpload {

        /**
         * Constructs a new {@code InStream} instance.
         *
         * @param manager the manager of what is needed meanwhile; stays the caller's
         */
        InStream(NDManager manager) {
            super(manager);
        }

        /** {@inheritDoc} */
        @Override
        void put(Target target, long block, long[] layout, float[] scales) {
            DeviceTableNative.put(
                    target.table(),
                    target.slot(),
                    block,
                    layout,
                    scales,
                    target.arena(),
                    target.offset());
        }
    }
}
