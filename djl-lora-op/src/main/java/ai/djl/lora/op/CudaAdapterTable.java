/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cuda.CudaContext;
import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The adapters of a model on a CUDA device, in a native table there. Each lies in one stretch of
 * the device's memory, of an arena that they share or of its own.
 *
 * <p>What calls need beside adapters grows with the rows, ranks and slots that are seen, between
 * calls and never within one.
 */
final class CudaAdapterTable implements AdapterTable {

    private static final Logger logger = LoggerFactory.getLogger(CudaAdapterTable.class);

    private static final int LEAST_SLOTS = 64;
    private static final int LEAST_ROWS = 256;
    private static final int LEAST_RANK = 16;

    private final List<LoraModule> modules;
    private final ElementType type;
    private final NDManager manager;
    private final SlotAllocator slots = new SlotAllocator();
    private final Map<Integer, Long> bytesOfSlot = new ConcurrentHashMap<>();

    /** The rank of each module of the adapters, by slot. Guarded by this. */
    private final Map<Integer, int[]> ranks = new HashMap<>();

    /** The arenas of adapters that have memory of their own, by slot. */
    private final Map<Integer, NDArray> arenas = new ConcurrentHashMap<>();

    /** Held to read where entries lie and to write them, and to change where they lie. */
    private final ReadWriteLock growth = new ReentrantReadWriteLock();

    private final CudaUpload upload;

    private final CudaPlans plans;
    private final CudaLimits limits;
    private final long table;

    /** What the adapters share; null where each has memory of its own. */
    private final AdapterMemory memory;

    private boolean closed;

    /** Chooses kernels that are compiled at run time; null where the library's are used. */
    private final CudaKernelChoice kernels;

    CudaAdapterTable(
            NDManager parent,
            List<LoraModule> modules,
            ElementType type,
            long adapterMemory,
            CudaKernelChoice kernels) {
        this.kernels = kernels;
        this.modules = List.copyOf(modules);
        this.type = type;
        this.manager = parent.newSubManager();
        manager.setName("adapters");
        boolean made = false;
        try {
            NDArray shared =
                    adapterMemory == 0
                            ? null
                            : AdapterMemory.allocate(manager, LoraNative.UINT8, adapterMemory);
            limits = new CudaLimits(LEAST_SLOTS, LEAST_ROWS, LEAST_RANK, LEAST_RANK);
            table =
                    DeviceTableNative.create(
                            modules.stream().mapToLong(LoraModule::inFeatures).toArray(),
                            modules.stream().mapToLong(LoraModule::outFeatures).toArray(),
                            type.code(),
                            NativeTensorOps.device(manager),
                            limits.wanted());
            plans = new CudaPlans(manager);
            upload = newUpload();
            memory = shared == null ? null : new AdapterMemory(shared, this::move);
            made = true;
        } finally {
            if (!made) {
                manager.close();
            }
        }
        if (kernels != null) {
            beginKernels();
        }
    }

    private void beginKernels() {
        boolean begun = false;
        try {
            kernels.begin(table);
            begun = true;
        } finally {
            if (!begun) {
                close();
            }
        }
    }

    private CudaUpload newUpload() {
        Optional<String> reason = CudaContext.unavailable();
        if (reason.isEmpty()) {
            return new CudaStreamUpload(manager, NativeTensorOps.device(manager));
        }
        logger.info(
                "Adapters are copied to the GPU between steps, and not beside them: {}",
                reason.get());
        return new CudaUpload.InStream(manager);
    }

    /** {@inheritDoc} */
    @Override
    public int put(PackedAdapter adapter) {
        int slot = takeSlot();
        putOrRelease(slot, adapter);
        return slot;
    }

    /** {@inheritDoc} */
    @Override
    public void put(int slot, PackedAdapter adapter) {
        synchronized (this) {
            if (!slots.take(slot)) {
                throw new LoraBackendException("Slot " + slot + " of the adapter table is taken");
            }
        }
        putOrRelease(slot, adapter);
    }

    private synchronized int takeSlot() {
        return slots.take();
    }

    private synchronized void releaseSlot(int slot) {
        slots.release(slot);
    }

    private void putOrRelease(int slot, PackedAdapter adapter) {
        boolean put = false;
        try {
            load(slot, adapter);
            put = true;
        } finally {
            if (!put) {
                releaseSlot(slot);
            }
        }
    }

    private void load(int slot, PackedAdapter given) {
        PackedAdapterChecks.fits(given, modules, type);
        PackedAdapter adapter =
                given.integers() == null ? given : Int8Packing.widen(given, modules);
        int[] rankOf = new int[modules.size()];
        for (int m = 0; m < rankOf.length; ++m) {
            rankOf[m] = adapter.entries()[m] == null ? 0 : adapter.entries()[m].rank();
        }
        if (kernels != null) {
            kernels.prepare(rankOf);
        }
        synchronized (this) {
            checkOpen();
            grow(limits.slots(slot + 1).rank(IntStream.of(rankOf).max().orElse(0)));
        }
        long bytes = DeviceTableNative.packedBytes(table, NativeLayout.rows(adapter));
        if (memory != null && bytes > 0) {
            memory.put(slot, bytes, offset -> upload(slot, adapter, memory.handle(), offset));
        } else {
            loadAlone(slot, adapter, bytes);
        }
        synchronized (this) {
            ranks.put(slot, rankOf);
            bytesOfSlot.put(slot, bytes);
            if (kernels != null) {
                updateKernels(slot);
            }
        }
    }

    private void updateKernels(int slot) {
        boolean updated = false;
        try {
            kernels.update(table, ranks.values());
            updated = true;
        } finally {
            if (!updated) {
                free(slot);
            }
        }
    }

    private void loadAlone(int slot, PackedAdapter adapter, long bytes) {
        NDArray arena = AdapterMemory.allocate(manager, LoraNative.UINT8, bytes);
        boolean written = false;
        try {
            // libtorch may have had it for an array that its stream still works on
            upload.memoryChanged();
            upload(slot, adapter, NativeTensorOps.handle(arena), 0);
            arenas.put(slot, arena);
            written = true;
        } finally {
            if (!written) {
                arena.close();
            }
        }
    }

    /* Computing goes on meanwhile, unless the table has to grow. */
    private void upload(int slot, PackedAdapter adapter, long arena, long offset) {
        long bytes = CudaLayout.bytes(adapter, modules);
        growth.readLock().lock();
        try {
            upload.put(new CudaUpload.Target(table, slot, arena, offset, bytes), adapter);
        } finally {
            growth.readLock().unlock();
        }
    }

    private void grow(CudaLimits wanted) {
        if (!wanted.isRaised()) {
            return;
        }
        growth.writeLock().lock();
        try {
            growAlone(wanted);
        } finally {
            growth.writeLock().unlock();
        }
    }

    private void growAlone(CudaLimits wanted) {
        try {
            DeviceTableNative.grow(table, wanted.wanted());
            wanted.grant();
            upload.memoryChanged();
        } catch (EngineException e) {
            // so that adapters make room, or the step fails; another backend would have no more
            throw new LoraMemoryException(
                    "The adapters' table on the GPU cannot grow to "
                            + wanted.describeWanted()
                            + ": "
                            + e.getMessage(),
                    e);
        } finally {
            wanted.revert();
        }
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void remove(int slot) {
        checkOpen();
        if (!slots.isUsed(slot)) {
            throw new LoraBackendException("Slot " + slot + " of the adapter table is empty");
        }
        free(slot);
        slots.release(slot);
    }

    private void free(int slot) {
        NDArray own = arenas.remove(slot);
        if (own == null) {
            memory.remove(slot, () -> takeOut(slot));
        } else {
            takeOut(slot);
            own.close();
        }
        ranks.remove(slot);
        bytesOfSlot.remove(slot);
    }

    /* Before its memory is free, so that whoever takes that waits for what may still read it. */
    private void takeOut(int slot) {
        DeviceTableNative.remove(table, slot);
        upload.memoryChanged();
    }

    /** {@inheritDoc} */
    @Override
    public NDArray apply(int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        NDArray[] biases = {bias};
        return applyGroup(new int[] {module}, x, new NDArray[] {base}, biases, plan)[0];
    }

    /** {@inheritDoc} */
    @Override
    public synchronized NDArray[] applyGroup(
            int[] group, NDArray x, NDArray[] bases, NDArray[] biases, BatchPlan plan) {
        checkOpen();
        long[] ys = new long[group.length];
        long[] biasHandles = new long[group.length];
        for (int i = 0; i < group.length; ++i) {
            ys[i] = NativeTensorOps.handle(bases[i]);
            biasHandles[i] = biases[i] == null ? 0 : NativeTensorOps.handle(biases[i]);
        }
        try {
            // the plan's arrays stay until the next plans come, which takes this lock
            long[] arrays = plans.get(plan, this::prepare);
            DeviceTableNative.sgmv(
                    ys, NativeTensorOps.handle(x), biasHandles, arrays, table, group);
        } catch (IllegalArgumentException e) {
            // the operator has checked all of this; here it is said in the module's name
            for (int i = 0; i < group.length; ++i) {
                TensorChecks.sgmv(modules.get(group[i]), x, bases[i], biases[i], plan);
            }
            throw e;
        }
        return bases;
    }

    /* On the device a wrong plan is found, too, but not by this step. */
    private void prepare(BatchPlan plan) {
        int stacked = 0;
        for (int s = 0; s < plan.segments(); ++s) {
            AdapterMix mix = plan.mix(s);
            int[] sums = new int[modules.size()];
            for (int i = 0; i < mix.size(); ++i) {
                int[] rankOf = ranks.get(mix.slot(i));
                if (rankOf == null) {
                    throw new LoraBackendException(
                            "Slot " + mix.slot(i) + " of the adapter table is empty");
                }
                for (int m = 0; plan.hasStacks() && m < sums.length; ++m) {
                    sums[m] += rankOf[m];
                }
            }
            stacked = Math.max(stacked, IntStream.of(sums).max().orElse(0));
        }
        grow(limits.rows(plan.rows()).stackRanks(stacked));
    }

    /** {@inheritDoc} */
    @Override
    public long bytesOf(PackedAdapter adapter) {
        PackedAdapterChecks.fits(adapter, modules, type);
        return CudaLayout.bytes(adapter, modules);
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
    public long trim() {
        return upload.trim();
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            bytesOfSlot.clear();
            upload.close(); // waits for copies
            if (memory != null) {
                memory.close(); // first: it waits for a move that is under way
            }
            DeviceTableNative.close(table);
            manager.close();
        }
    }

    private void move(int slot, long offset) {
        growth.readLock().lock();
        try {
            DeviceTableNative.move(table, slot, offset);
            upload.memoryChanged();
        } finally {
            growth.readLock().unlock();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new LoraBackendException("The adapter table is closed");
        }
    }
}
