/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The adapters of the {@code pytorch} backend: each a float32 array with views of its parts. In a
 * model of a 16-bit type inputs are widened and the result is rounded once.
 */
final class NdArrayAdapterTable implements AdapterTable {

    private final NdArrayTensorOps ops;
    private final TensorOps modelOps;
    private final ElementType type;
    private final List<LoraModule> modules;
    private final NDManager manager;
    private final SlotAllocator slots = new SlotAllocator();
    private final Map<Integer, Resident> residents = new ConcurrentHashMap<>();

    NdArrayAdapterTable(
            NdArrayTensorOps ops,
            TensorOps modelOps,
            ElementType type,
            NDManager parent,
            List<LoraModule> modules) {
        this.ops = ops;
        this.modelOps = modelOps;
        this.type = type;
        this.modules = List.copyOf(modules);
        this.manager = parent.newSubManager();
        manager.setName("adapters");
    }

    /** {@inheritDoc} */
    @Override
    public int put(PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, type);
        Resident resident = new Resident(adapter);
        int slot = slots.take();
        residents.put(slot, resident);
        return slot;
    }

    /** {@inheritDoc} */
    @Override
    public void put(int slot, PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, type);
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
        if (type == ElementType.FLOAT32) {
            applyParts(module, x, base, bias, plan);
            return base;
        }
        try (NDManager scratch = manager.newSubManager()) {
            NDArray y = widen(base, scratch);
            applyParts(
                    module, widen(x, scratch), y, bias == null ? null : widen(bias, scratch), plan);
            NDArray rounded = modelOps.toType(y, type);
            rounded.attach(scratch);
            modelOps.copyRows(base, 0, rounded);
        }
        return base;
    }

    private NDArray widen(NDArray array, NDManager scratch) {
        NDArray wide = modelOps.toType(array, ElementType.FLOAT32);
        wide.attach(scratch);
        return wide;
    }

    /** Changes y, float32, which is the base product at first. */
    private void applyParts(int module, NDArray x, NDArray y, NDArray bias, BatchPlan plan) {
        long[] starts = plan.segmentStarts();
        for (int s = 0; s < plan.segments(); ++s) {
            AdapterMix mix = plan.mix(s);
            if (mix.size() == 0 && bias == null) {
                continue;
            }
            NDArray rows = ops.rows(y, starts[s], starts[s + 1]);
            NDArray added = bias;
            for (int i = 0; i < mix.size(); ++i) {
                Part part = part(mix.slot(i), module);
                if (part != null) {
                    part.requireAddable(modules.get(module), mix, i);
                    part.apply(ops.rows(x, starts[s], starts[s + 1]), rows, mix.weight(i));
                    added = part.bias == null ? bias : part.bias;
                }
            }
            if (added != null) {
                rows.addi(added);
            }
        }
    }

    private Part part(int slot, int module) {
        Resident resident = residents.get(slot);
        if (resident == null) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is empty");
        }
        return resident.parts[module];
    }

    /** {@inheritDoc} */
    @Override
    public long bytesOf(PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, type);
        long elements = adapter.data().length / type.bytes();
        if (adapter.integers() != null) {
            elements += adapter.integers().data().length;
        }
        return elements * Float.BYTES;
    }

    /** {@inheritDoc} */
    @Override
    public long residentBytes() {
        return residents.values().stream().mapToLong(resident -> resident.bytes).sum();
    }

    /** {@inheritDoc} */
    @Override
    public Optional<PoolStatistics> poolStatistics() {
        return Optional.empty();
    }

    /** {@inheritDoc} */
    @Override
    public Defragmentation defragment(SlotGuard guard) {
        return new Defragmentation(0, 0);
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        residents.clear();
        manager.close();
    }

    /**
     * A module's matrices, transposed for multiplication from the left: [in, rank], [rank, out];
     * and its vectors [out]. Null where there is none.
     */
    private record Part(NDArray a, NDArray b, float scale, NDArray outScale, NDArray bias) {

        void requireAddable(LoraModule module, AdapterMix mix, int index) {
            if (!mix.isPlain() && (outScale != null || bias != null)) {
                throw new IllegalArgumentException(
                        "Slot "
                                + mix.slot(index)
                                + " has "
                                + (outScale != null ? "an outScale (DoRA or IA3)" : "a bias")
                                + " in module "
                                + module
                                + "; only adapters without may be weighted or stacked");
            }
        }

        void apply(NDArray x, NDArray y, float weight) {
            if (a != null) {
                y.addi(x.matMul(a).mul(scale * weight).matMul(b));
            }
            if (outScale != null) {
                y.muli(outScale);
            }
        }
    }

    /** One adapter and the arrays that it owns. */
    private final class Resident implements AutoCloseable {

        private final NDManager owner = manager.newSubManager();
        private final Part[] parts = new Part[modules.size()];
        private final long bytes;

        Resident(PackedAdapter adapter) {
            NDArray block = upload(adapter.data(), adapter.type());
            PackedAdapter.Int8Components integers = adapter.integers();
            NDArray matrices = integers == null ? block : upload(integers.data());
            bytes =
                    Float.BYTES
                            * (integers == null ? block.size() : block.size() + matrices.size());
            int component = 0;
            for (LoraModule module : modules) {
                PackedAdapter.Entry entry = adapter.entries()[module.index()];
                if (entry == null) {
                    continue;
                }
                int rank = entry.rank();
                int out = module.outFeatures();
                NDArray a = matrix(matrices, entry.offsetA(), rank, module.inFeatures());
                NDArray b = matrix(matrices, entry.offsetB(), out, rank);
                if (integers != null && rank > 0) {
                    a.muli(scales(integers, component, rank));
                    b.muli(scales(integers, component + rank, rank).expandDims(1));
                }
                component += 2 * rank;
                parts[module.index()] =
                        new Part(
                                a,
                                b,
                                entry.scale(),
                                vector(block, entry.offsetOutScale(), out),
                                vector(block, entry.offsetBias(), out));
            }
        }

        private NDArray upload(byte[] data, ElementType stored) {
            ByteBuffer elements = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
            return ops.upload(owner, elements, stored, new Shape(data.length / stored.bytes()));
        }

        private NDArray upload(byte[] integers) {
            ByteBuffer wide =
                    ByteBuffer.allocate(Math.multiplyExact(integers.length, Float.BYTES))
                            .order(ByteOrder.LITTLE_ENDIAN);
            for (byte value : integers) {
                wide.putFloat(value);
            }
            return upload(wide.array(), ElementType.FLOAT32);
        }

        private NDArray scales(PackedAdapter.Int8Components integers, int from, int count) {
            return owner.create(Arrays.copyOfRange(integers.scales(), from, from + count));
        }

        private NDArray matrix(NDArray block, long offset, long rows, long columns) {
            return offset < 0
                    ? null
                    : slice(block, offset, rows * columns).reshape(rows, columns).transpose();
        }

        private NDArray vector(NDArray block, long offset, long size) {
            return offset < 0 ? null : slice(block, offset, size);
        }

        private NDArray slice(NDArray block, long offset, long size) {
            return block.get(new NDIndex().addSliceDim(offset, offset + size));
        }

        @Override
        public void close() {
            owner.close();
        }
    }
}
