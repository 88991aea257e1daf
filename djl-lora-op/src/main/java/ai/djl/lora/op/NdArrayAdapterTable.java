/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** The adapters of the {@code pytorch} backend: each a float32 array with views of its parts. */
final class NdArrayAdapterTable implements AdapterTable {

    private final NdArrayTensorOps ops;
    private final List<LoraModule> modules;
    private final NDManager manager;
    private final SlotAllocator slots = new SlotAllocator();
    private final Map<Integer, Resident> residents = new ConcurrentHashMap<>();

    NdArrayAdapterTable(NdArrayTensorOps ops, NDManager parent, List<LoraModule> modules) {
        this.ops = ops;
        this.modules = List.copyOf(modules);
        this.manager = parent.newSubManager();
        manager.setName("adapters");
    }

    /** {@inheritDoc} */
    @Override
    public int put(PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, ElementType.FLOAT32);
        Resident resident = new Resident(adapter);
        int slot = slots.take();
        residents.put(slot, resident);
        return slot;
    }

    /** {@inheritDoc} */
    @Override
    public void put(int slot, PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, ElementType.FLOAT32);
        if (!slots.take(slot)) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is taken");
        }
        residents.put(slot, new Resident(adapter));
    }

    /** {@inheritDoc} */
    @Override
    public void remove(int slot) {
        Resident resident = residents.remove(slot);
        if (resident == null) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is empty");
        }
        resident.close();
        slots.release(slot);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray apply(int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        TensorChecks.sgmv(modules.get(module), x, base, bias, plan);
        long[] starts = plan.segmentStarts();
        for (int s = 0; s < plan.segments(); ++s) {
            AdapterMix mix = plan.mix(s);
            for (int i = 0; i < mix.size(); ++i) {
                Resident resident = residents.get(mix.slot(i));
                if (resident == null) {
                    throw new LoraBackendException(
                            "Slot " + mix.slot(i) + " of the adapter table is empty");
                }
                Part part = resident.parts[module];
                if (part != null) {
                    NDArray rows = ops.rows(x, starts[s], starts[s + 1]);
                    NDArray down = rows.matMul(part.a).mul(part.scale * mix.weight(i));
                    ops.rows(base, starts[s], starts[s + 1]).addi(down.matMul(part.b));
                }
            }
        }
        return bias == null ? base : base.addi(bias);
    }

    /** {@inheritDoc} */
    @Override
    public long residentBytes() {
        return residents.values().stream().mapToLong(resident -> resident.bytes).sum();
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        residents.clear();
        manager.close();
    }

    /**
     * A module's matrices, transposed for multiplication from the left: [in, rank], [rank, out].
     */
    private record Part(NDArray a, NDArray b, float scale) {}

    /** One adapter and the arrays that it owns. */
    private final class Resident implements AutoCloseable {

        private final NDManager owner = manager.newSubManager();
        private final Part[] parts = new Part[modules.size()];
        private final long bytes;

        Resident(PackedAdapter adapter) {
            bytes = adapter.data().length;
            long elements = bytes / Float.BYTES;
            ByteBuffer data = ByteBuffer.wrap(adapter.data()).order(ByteOrder.LITTLE_ENDIAN);
            NDArray block = ops.upload(owner, data, ElementType.FLOAT32, new Shape(elements));
            for (LoraModule module : modules) {
                PackedAdapter.Entry entry = adapter.entries()[module.index()];
                if (entry != null) {
                    NDArray a = matrix(block, entry.offsetA(), entry.rank(), module.inFeatures());
                    NDArray b = matrix(block, entry.offsetB(), module.outFeatures(), entry.rank());
                    parts[module.index()] = new Part(a, b, entry.scale());
                }
            }
        }

        private NDArray matrix(NDArray block, long offset, long rows, long columns) {
            NDArray part = block.get(new NDIndex().addSliceDim(offset, offset + rows * columns));
            return part.reshape(rows, columns).transpose();
        }

        @Override
        public void close() {
            owner.close();
        }
    }
}
