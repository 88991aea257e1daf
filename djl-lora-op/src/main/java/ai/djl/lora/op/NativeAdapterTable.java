/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The adapters of the {@code cpu} backend: each one contiguous tensor, and a native table of where
 * its parts lie. The native table keeps each tensor alive until its slot is removed.
 */
final class NativeAdapterTable implements AdapterTable {

    /** The fields of a module's row in the native layout; see native-op's {@code table_put}. */
    private static final int LAYOUT_FIELDS = 5;

    private static final long ABSENT = -1;

    private final List<LoraModule> modules;
    private final ElementType type;
    private final NDManager manager;
    private final SlotAllocator slots = new SlotAllocator();
    private final Map<Integer, Long> bytesOfSlot = new ConcurrentHashMap<>();
    private final long table;
    private boolean closed;

    NativeAdapterTable(NDManager parent, List<LoraModule> modules, ElementType type) {
        this.modules = List.copyOf(modules);
        this.type = type;
        this.manager = parent.newSubManager();
        manager.setName("adapters");
        table =
                LoraNative.tableCreate(
                        modules.stream().mapToLong(LoraModule::inFeatures).toArray(),
                        modules.stream().mapToLong(LoraModule::outFeatures).toArray(),
                        type.code());
    }

    /** {@inheritDoc} */
    @Override
    public synchronized int put(PackedAdapter adapter) {
        checkOpen();
        PackedAdapterChecks.fits(adapter, modules, type);
        long[] layout = new long[modules.size() * LAYOUT_FIELDS];
        Arrays.fill(layout, ABSENT);
        float[] scales = new float[modules.size()];
        for (int m = 0; m < modules.size(); ++m) {
            PackedAdapter.Entry entry = adapter.entries()[m];
            layout[m * LAYOUT_FIELDS] = entry == null ? 0 : entry.rank();
            if (entry != null) {
                layout[m * LAYOUT_FIELDS + 1] = entry.offsetA();
                layout[m * LAYOUT_FIELDS + 2] = entry.offsetB();
                scales[m] = entry.scale();
            }
        }
        byte[] data = adapter.data();
        long elements = data.length / type.bytes();
        int slot = slots.take();
        try (NDArray block =
                NativeTensorOps.wrap(
                        manager, LoraNative.empty(type.code(), new long[] {elements}))) {
            long handle = NativeTensorOps.handle(block);
            LoraNative.copyFromBytes(handle, 0, data, 0, data.length);
            LoraNative.tablePut(table, slot, handle, layout, scales);
        } catch (RuntimeException e) {
            slots.release(slot);
            throw e;
        }
        bytesOfSlot.put(slot, (long) data.length);
        return slot;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void remove(int slot) {
        checkOpen();
        if (!slots.isUsed(slot)) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is empty");
        }
        LoraNative.tableRemove(table, slot);
        bytesOfSlot.remove(slot);
        slots.release(slot);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray apply(int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        TensorChecks.sgmv(modules.get(module), x, base, bias, plan);
        LoraNative.sgmv(
                NativeTensorOps.handle(base),
                NativeTensorOps.handle(x),
                bias == null ? 0 : NativeTensorOps.handle(bias),
                plan.segmentStarts(),
                plan.slots(),
                table,
                module);
        return base;
    }

    /** {@inheritDoc} */
    @Override
    public long residentBytes() {
        return bytesOfSlot.values().stream().mapToLong(Long::longValue).sum();
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            bytesOfSlot.clear();
            LoraNative.tableClose(table);
            manager.close();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new LoraBackendException("The adapter table is closed");
        }
    }
}
