/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * The adapters of the {@code cpu} backend, in a native table that copies their weights into a
 * layout of its own: each adapter one contiguous block, of a memory that they share or of its own.
 */
final class NativeAdapterTable implements AdapterTable {

    /** Larger adapters are copied through memory that is given back at once. */
    private static final int MOST_STAGING = 64 << 20;

    private final List<LoraModule> modules;
    private final ElementType type;
    private final NDManager manager;
    private final SlotAllocator slots = new SlotAllocator();
    private final Map<Integer, Long> bytesOfSlot = new ConcurrentHashMap<>();
    private final long table;

    /** What the adapters share; null where each has memory of its own. */
    private final AdapterMemory memory;

    private NDArray staging;
    private boolean closed;

    NativeAdapterTable(
            NDManager parent, List<LoraModule> modules, ElementType type, long adapterMemory) {
        this.modules = List.copyOf(modules);
        this.type = type;
        this.manager = parent.newSubManager();
        manager.setName("adapters");
        boolean made = false;
        try {
            NDArray shared = adapterMemory == 0 ? null : allocate(adapterMemory);
            table =
                    LoraNative.tableCreate(
                            modules.stream().mapToLong(LoraModule::inFeatures).toArray(),
                            modules.stream().mapToLong(LoraModule::outFeatures).toArray(),
                            type.code());
            memory = shared == null ? null : new AdapterMemory(shared, new TableMoves(shared));
            made = true;
        } finally {
            if (!made) {
                manager.close();
            }
        }
    }

    /* The operating system gives the pages as they are first written. */
    private NDArray allocate(long bytes) {
        NDArray memory = AdapterMemory.allocate(manager, LoraNative.INT8, bytes);
        // as adapters in memory of their own have them: without, kernels miss the TLB more often
        LoraNative.preferHugePages(NativeTensorOps.handle(memory));
        return memory;
    }

    /** What the native table does to adapters in the memory that they share. */
    private final class TableMoves implements AdapterMemory.Moves {

        private final NDArray memory;

        TableMoves(NDArray memory) {
            this.memory = memory;
        }

        /** {@inheritDoc} */
        @Override
        public void move(int slot, long offset) {
            LoraNative.tableMove(table, slot, offset);
        }

        /** {@inheritDoc} */
        @Override
        public long discard(long offset, long bytes) {
            return LoraNative.discardPages(NativeTensorOps.handle(memory), offset, bytes);
        }
    }

    /** {@inheritDoc} */
    @Override
    public synchronized int put(PackedAdapter adapter) {
        int slot = slots.take();
        putOrRelease(slot, adapter);
        return slot;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void put(int slot, PackedAdapter adapter) {
        if (!slots.take(slot)) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is taken");
        }
        putOrRelease(slot, adapter);
    }

    private void putOrRelease(int slot, PackedAdapter adapter) {
        try {
            load(slot, adapter);
        } catch (RuntimeException e) {
            slots.release(slot);
            throw e;
        }
    }

    private void load(int slot, PackedAdapter adapter) {
        checkOpen();
        PackedAdapterChecks.fits(adapter, modules, type);
        long[] layout = NativeLayout.rows(adapter);
        float[] scales = NativeLayout.scales(adapter);
        long bytes =
                memory == null
                        ? 0
                        : LoraNative.tablePackedBytes(table, layout, adapter.integers() != null);
        if (bytes == 0) {
            write(slot, adapter, layout, scales, 0, 0);
        } else {
            long handle = memory.handle();
            memory.put(slot, bytes, offset -> write(slot, adapter, layout, scales, handle, offset));
        }
        bytesOfSlot.put(slot, LoraNative.tableBytes(table, slot));
    }

    private void write(
            int slot,
            PackedAdapter adapter,
            long[] layout,
            float[] scales,
            long arenaOrZero,
            long offset) {
        try (NDManager scratch = manager.newSubManager()) {
            long block = uploadBlock(scratch, adapter.data());
            PackedAdapter.Int8Components integers = adapter.integers();
            if (integers == null) {
                LoraNative.tablePut(table, slot, block, layout, scales, arenaOrZero, offset);
            } else {
                LoraNative.tablePutInt8(
                        table,
                        slot,
                        upload(scratch, LoraNative.INT8, 1, integers.data()),
                        integers.scales(),
                        block,
                        layout,
                        scales,
                        arenaOrZero,
                        offset);
            }
        }
    }

    /* Memory that was written before takes no page faults, which cost as much as the copy. */
    private long uploadBlock(NDManager scratch, byte[] data) {
        long elements = data.length / type.bytes();
        if (elements == 0 || data.length > MOST_STAGING) {
            return upload(scratch, type.code(), type.bytes(), data);
        }
        if (staging == null || staging.size() < elements) {
            freeStaging();
            staging =
                    NativeTensorOps.wrap(
                            manager, LoraNative.empty(type.code(), new long[] {elements}));
        }
        long whole = NativeTensorOps.handle(staging);
        LoraNative.copyFromBytes(whole, 0, data, 0, data.length);
        return NativeTensorOps.handle(
                NativeTensorOps.wrap(scratch, LoraNative.narrowRows(whole, 0, elements)));
    }

    private static long upload(NDManager manager, int code, int elementBytes, byte[] data) {
        long[] shape = {data.length / elementBytes};
        long handle =
                NativeTensorOps.handle(
                        NativeTensorOps.wrap(manager, LoraNative.empty(code, shape)));
        LoraNative.copyFromBytes(handle, 0, data, 0, data.length);
        return handle;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void remove(int slot) {
        checkOpen();
        if (!slots.isUsed(slot)) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is empty");
        }
        if (memory == null) {
            LoraNative.tableRemove(table, slot);
        } else {
            memory.remove(slot, () -> LoraNative.tableRemove(table, slot));
        }
        bytesOfSlot.remove(slot);
        slots.release(slot);
        if (bytesOfSlot.isEmpty()) {
            freeStaging();
        }
    }

    private void freeStaging() {
        if (staging != null) {
            staging.close();
            staging = null;
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDArray apply(int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        if (plan.hasStacks()) {
            NDArray[] bases = {base};
            return applyGroup(new int[] {module}, x, bases, new NDArray[] {bias}, plan)[0];
        }
        try {
            LoraNative.sgmv(
                    NativeTensorOps.handle(base),
                    NativeTensorOps.handle(x),
                    handleOrZero(bias),
                    plan.sharedSegmentStarts(),
                    plan.sharedSlots(),
                    table,
                    module);
        } catch (RuntimeException e) {
            // the operator has checked all of this; here it is said in the module's name
            TensorChecks.sgmv(modules.get(module), x, base, bias, plan);
            throw e;
        }
        return base;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray[] applyGroup(
            int[] group, NDArray x, NDArray[] bases, NDArray[] biases, BatchPlan plan) {
        long[] ys = new long[group.length];
        long[] biasHandles = new long[group.length];
        for (int i = 0; i < group.length; ++i) {
            ys[i] = NativeTensorOps.handle(bases[i]);
            biasHandles[i] = handleOrZero(biases[i]);
        }
        try {
            applyGroup(group, ys, NativeTensorOps.handle(x), biasHandles, plan);
        } catch (RuntimeException e) {
            for (int i = 0; i < group.length; ++i) {
                TensorChecks.sgmv(modules.get(group[i]), x, bases[i], biases[i], plan);
            }
            throw e;
        }
        return bases;
    }

    private void applyGroup(
            int[] group, long[] ys, long input, long[] biasHandles, BatchPlan plan) {
        if (plan.hasStacks()) {
            LoraNative.sgmvStacked(
                    ys,
                    input,
                    biasHandles,
                    plan.sharedSegmentStarts(),
                    plan.sharedEntryStarts(),
                    plan.sharedEntrySlots(),
                    plan.sharedEntryWeights(),
                    table,
                    group);
        } else {
            LoraNative.sgmvGroup(
                    ys,
                    input,
                    biasHandles,
                    plan.sharedSegmentStarts(),
                    plan.sharedSlots(),
                    table,
                    group);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDArray[] linearAll(
            TensorOps ops,
            int[] group,
            NDArray x,
            NDArray[] weights,
            NDArray[] biases,
            BatchPlan plan) {
        long[] products =
                checked(
                        group,
                        x,
                        weights,
                        biases,
                        plan,
                        () ->
                                LoraNative.linearSgmv(
                                        NativeTensorOps.handle(x),
                                        handles(weights),
                                        handles(biases),
                                        plan.sharedSegmentStarts(),
                                        plan.hasStacks() ? plan.sharedEntryStarts() : null,
                                        sharedSlots(plan),
                                        plan.hasStacks() ? plan.sharedEntryWeights() : null,
                                        table,
                                        group));
        NDArray[] results = new NDArray[products.length];
        for (int i = 0; i < products.length; ++i) {
            results[i] = NativeTensorOps.wrap(x.getManager(), products[i]);
        }
        return results;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray gatedLinear(
            TensorOps ops,
            int[] group,
            NDArray x,
            NDArray[] weights,
            NDArray[] biases,
            BatchPlan plan) {
        long gated =
                checked(
                        group,
                        x,
                        weights,
                        biases,
                        plan,
                        () ->
                                LoraNative.gatedLinearSgmv(
                                        NativeTensorOps.handle(x),
                                        handles(weights),
                                        handles(biases),
                                        plan.sharedSegmentStarts(),
                                        plan.hasStacks() ? plan.sharedEntryStarts() : null,
                                        sharedSlots(plan),
                                        plan.hasStacks() ? plan.sharedEntryWeights() : null,
                                        table,
                                        group));
        return NativeTensorOps.wrap(x.getManager(), gated);
    }

    /* What the operator refuses is said in the modules' names. */
    private <T> T checked(
            int[] group,
            NDArray x,
            NDArray[] weights,
            NDArray[] biases,
            BatchPlan plan,
            Supplier<T> call) {
        try {
            return call.get();
        } catch (RuntimeException e) {
            for (int i = 0; i < group.length; ++i) {
                TensorChecks.linear(modules.get(group[i]), x, weights[i], biases[i], plan);
            }
            throw e;
        }
    }

    private static long[] sharedSlots(BatchPlan plan) {
        return plan.hasStacks() ? plan.sharedEntrySlots() : plan.sharedSlots();
    }

    private static long[] handles(NDArray[] arrays) {
        long[] handles = new long[arrays.length];
        for (int i = 0; i < arrays.length; ++i) {
            handles[i] = handleOrZero(arrays[i]);
        }
        return handles;
    }

    private static long handleOrZero(NDArray array) {
        return array == null ? 0 : NativeTensorOps.handle(array);
    }

    /** {@inheritDoc} */
    @Override
    public long bytesOf(PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, type);
        return NativeLayout.bytes(adapter, modules);
    }

    /** {@inheritDoc} */
    @Override
    public long residentBytes() {
        return bytesOfSlot.values().stream().mapToLong(Long::longValue).sum();
    }

    /** {@inheritDoc} */
    @Override
    public Optional<PoolStatistics> poolStatistics() {
        return Optional.ofNullable(memory).map(AdapterMemory::statistics);
    }

    /** {@inheritDoc} */
    @Override
    public Defragmentation defragment(SlotGuard guard) {
        return memory == null ? new Defragmentation(0, 0) : memory.defragment(guard);
    }

    /** {@inheritDoc} */
    @Override
    public synchronized long trim() {
        checkOpen();
        freeStaging();
        return memory == null ? 0 : memory.trim();
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            bytesOfSlot.clear();
            if (memory != null) {
                memory.close(); // first: it waits for a move that is under way
            }
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
