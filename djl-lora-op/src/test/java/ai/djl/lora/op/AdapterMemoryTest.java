/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Tables whose adapters share one memory: the native backend's. */
public class AdapterMemoryTest {

    private static final int IN = 24;
    private static final int[] OUTS = {20, 33};
    private static final List<LoraModule> MODULES =
            List.of(new LoraModule(0, "a", IN, OUTS[0]), new LoraModule(1, "b", IN, OUTS[1]));

    /** Everything may be moved. */
    private static final SlotGuard IDLE = new Guard(Set.of());

    @DataProvider
    public Object[][] backends() {
        return Arrays.stream(Backends.withTypes())
                .filter(pair -> "cpu".equals(((LoraBackend) pair[0]).getName()))
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "backends")
    public void movedAdaptersComputeTheSame(LoraBackend backend, ElementType type) {
        Random random = new Random(23);
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table = backend.newTable(manager, MODULES, type, 200_000)) {
            Map<Integer, Adapter> resident = new TreeMap<>();
            int moved = 0;
            int pinned = 0;
            for (int round = 0; round < 600; ++round) {
                Adapter adapter = new Adapter(random, type);
                try {
                    resident.put(table.put(adapter.packed), adapter);
                } catch (LoraMemoryException e) {
                    // the memory is full, or in pieces: either way somebody goes
                    for (int i = 0; i < 1 + random.nextInt(4); ++i) {
                        remove(table, resident, random);
                    }
                }
                if (round % 20 == 19) {
                    Set<Integer> leased = new TreeSet<>(resident.keySet());
                    leased.removeIf(slot -> random.nextInt(4) > 0);
                    Guard guard = new Guard(leased);
                    moved += table.defragment(guard).blocks();
                    pinned += leased.size();
                    Assert.assertEquals(guard.held, Set.of());
                    check(manager, backend, type, table, resident);
                }
            }
            Assert.assertTrue(moved > 100 && pinned > 100, moved + " moved, " + pinned + " leased");
            Assert.assertEquals(table.residentBytes(), statistics(table).used());
            table.defragment(IDLE);
            Assert.assertEquals(statistics(table).fragmentation(), 0.0);
            Assert.assertEquals(statistics(table).freeRanges(), 1);
            check(manager, backend, type, table, resident);
        }
    }

    private static void remove(AdapterTable table, Map<Integer, Adapter> resident, Random random) {
        List<Integer> slots = List.copyOf(resident.keySet());
        if (!slots.isEmpty()) {
            int slot = slots.get(random.nextInt(slots.size()));
            table.remove(slot);
            resident.remove(slot);
        }
    }

    /** Gives each resident adapter a row, between rows of the base model. */
    private static void check(
            NDManager parent,
            LoraBackend backend,
            ElementType type,
            AdapterTable table,
            Map<Integer, Adapter> resident) {
        TensorOps ops = backend.getTensorOps(type);
        Random random = new Random(5);
        List<AdapterMix> mixes = new ArrayList<>();
        resident.keySet().forEach(slot -> mixes.add(AdapterMix.of(slot)));
        mixes.add(AdapterMix.of(-1));
        float[] x = Backends.randomValues(random, (long) mixes.size() * IN, 1);
        try (NDManager manager = parent.newSubManager()) {
            NDArray input = Backends.array(manager, ops, type, x, mixes.size(), IN);
            for (int m = 0; m < OUTS.length; ++m) {
                float[] base = Backends.randomValues(random, (long) mixes.size() * OUTS[m], 1);
                NDArray y = Backends.array(manager, ops, type, base, mixes.size(), OUTS[m]);
                float[] actual =
                        Backends.values(
                                ops, table.apply(m, input, y, null, BatchPlan.ofMixes(mixes)));
                int row = 0;
                for (Map.Entry<Integer, Adapter> entry : resident.entrySet()) {
                    entry.getValue().check(type, m, row++, x, base, actual, entry.getKey());
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void whatDoesNotFitIsRefusedWithTheReason(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Adapter adapter = new Adapter(new Random(1), type, 4, false);
            long bytes;
            try (AdapterTable table = backend.newTable(manager, MODULES, type, 1 << 20)) {
                int slot = table.put(adapter.packed);
                bytes = table.residentBytes();
                Assert.assertEquals(bytes, backend.adapterBytes(MODULES, new int[] {4, 4}, type));
                table.remove(slot);
            }
            Adapter large = new Adapter(new Random(2), type, 8, false);
            try (AdapterTable table = backend.newTable(manager, MODULES, type, 4 * bytes)) {
                for (int i = 0; i < 4; ++i) {
                    Assert.assertEquals(table.put(adapter.packed), i);
                }
                assertRefused(table, adapter, "The adapter takes " + bytes + " bytes; 0 of ");
                table.remove(0);
                table.remove(2);
                long needed = backend.adapterBytes(MODULES, new int[] {8, 8}, type);
                Assert.assertTrue(needed > bytes && needed <= 2 * bytes);
                assertRefused(
                        table,
                        large,
                        "There is no block of "
                                + needed
                                + " bytes in one piece; "
                                + 2 * bytes
                                + " of "
                                + 4 * bytes
                                + " bytes of adapter memory are free, the largest piece has "
                                + bytes);
                Guard guard = new Guard(Set.of(1, 3));
                Assert.assertEquals(table.defragment(guard), new Defragmentation(0, 0));
                Assert.assertEquals(
                        table.defragment(new Guard(Set.of(1))), new Defragmentation(1, bytes));
                assertRefused(table, new Adapter(new Random(3), type, 40, false), "adapter takes");
                int slot = table.defragment(IDLE).blocks() + table.put(large.packed);
                Assert.assertEquals(slot, 2, "two moves, and the lowest slot");
                check(manager, backend, type, table, Map.of(0, large, 1, adapter, 3, adapter));
            }
        }
    }

    private static void assertRefused(AdapterTable table, Adapter adapter, String reason) {
        PoolStatistics before = statistics(table);
        LoraMemoryException e =
                Assert.expectThrows(LoraMemoryException.class, () -> table.put(adapter.packed));
        Assert.assertTrue(e.getMessage().contains(reason), e.getMessage());
        Assert.assertEquals(statistics(table).used(), before.used());
    }

    @Test(dataProvider = "backends")
    public void memoryComesBack(LoraBackend backend, ElementType type) {
        long handles = LoraNative.liveHandles();
        long adapters = LoraNative.liveAdapters();
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            int arrays = manager.getManagedArrays().size();
            AdapterTable table = backend.newTable(manager, MODULES, type, 1 << 20);
            for (int round = 0; round < 3; ++round) {
                int first = table.put(new Adapter(new Random(1), type, 4, true).packed);
                int second = table.put(new Adapter(new Random(2), type, 4, false).packed);
                Assert.assertEquals(LoraNative.liveAdapters(), adapters + 2);
                table.remove(first);
                table.defragment(IDLE);
                table.remove(second);
                Assert.assertEquals(table.residentBytes(), 0);
                Assert.assertEquals(statistics(table).used(), 0);
                Assert.assertEquals(LoraNative.liveHandles(), handles);
            }
            // what fails halfway gives its block back
            PackedAdapter.Entry[] entries = {new PackedAdapter.Entry(1, Float.NaN, 0, IN), null};
            byte[] data = new byte[(IN + OUTS[0]) * type.bytes()];
            Assert.assertThrows(
                    RuntimeException.class,
                    () -> table.put(new PackedAdapter(type, data, entries)));
            PackedAdapter none = new PackedAdapter(type, new byte[0], new PackedAdapter.Entry[3]);
            Assert.assertThrows(LoraCompatibilityException.class, () -> table.put(none));
            Assert.assertEquals(statistics(table).used(), 0);
            // an adapter that changes no module takes none
            int empty = table.put(new PackedAdapter(type, new byte[0], new PackedAdapter.Entry[2]));
            Assert.assertEquals(table.residentBytes(), 0);
            table.remove(empty);
            table.put(new Adapter(new Random(3), type, 4, true).packed);
            table.close();
            Assert.assertEquals(table.residentBytes(), 0);
            Assert.assertThrows(IllegalStateException.class, () -> table.defragment(IDLE));
            Assert.assertThrows(LoraBackendException.class, () -> table.remove(0));
            Assert.assertEquals(manager.getManagedArrays().size(), arrays);
        }
        Assert.assertEquals(LoraNative.liveAdapters(), adapters);
        Assert.assertEquals(LoraNative.liveHandles(), handles);
    }

    /** In full 100,000 rounds: -Dai.djl.lora.test.memoryRounds=100000. */
    @Test
    public void fragmentationStaysLow() {
        LoraBackend backend = nativeBackend();
        int rounds = Integer.getInteger("ai.djl.lora.test.memoryRounds", 10_000);
        Random random = new Random(29);
        List<Adapter> kinds = new ArrayList<>();
        for (int rank = 1; rank <= 16; ++rank) {
            kinds.add(new Adapter(random, ElementType.FLOAT32, rank, rank % 3 == 0));
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table =
                        backend.newTable(manager, MODULES, ElementType.FLOAT32, 400_000)) {
            Map<Integer, Adapter> resident = new TreeMap<>();
            double worst = 0;
            int defragmentations = 0;
            for (int round = 0; round < rounds; ++round) {
                Adapter adapter = kinds.get(random.nextInt(kinds.size()));
                try {
                    resident.put(table.put(adapter.packed), adapter);
                } catch (LoraMemoryException e) {
                    if (e.getMessage().contains("in one piece")) {
                        table.defragment(IDLE);
                        ++defragmentations;
                        worst = Math.max(worst, statistics(table).fragmentation());
                        resident.put(table.put(adapter.packed), adapter);
                    } else {
                        remove(table, resident, random);
                    }
                }
                if (random.nextInt(3) == 0) {
                    remove(table, resident, random);
                }
            }
            Assert.assertTrue(defragmentations > rounds / 200, defragmentations + " in " + rounds);
            Assert.assertTrue(worst < 0.1, "fragmentation after defragmentation: " + worst);
            check(manager, backend, ElementType.FLOAT32, table, resident);
        }
    }

    /**
     * One thread computes with leased slots, one puts and removes others, one defragments. Removal
     * and defragmentation know nothing of each other here.
     */
    @Test
    public void leasedSlotsStayWhileOthersMove() {
        LoraBackend backend = nativeBackend();
        ElementType type = ElementType.FLOAT32;
        Random random = new Random(31);
        int served = 6;
        AtomicIntegerArray leases = new AtomicIntegerArray(served);
        AtomicBoolean done = new AtomicBoolean();
        // the common pool may have one thread alone, and both of these run until the end
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table = backend.newTable(manager, MODULES, type, 300_000)) {
            Map<Integer, Adapter> resident = new TreeMap<>();
            List<Integer> gaps = new ArrayList<>();
            for (int slot = 0; slot < served; ++slot) {
                Adapter adapter = new Adapter(random, type);
                resident.put(slot, adapter);
                gaps.add(100 + slot);
                table.put(100 + slot, new Adapter(random, type).packed);
                table.put(slot, adapter.packed);
            }
            gaps.forEach(table::remove);
            LeaseGuard guard = new LeaseGuard(leases);
            AtomicInteger moves = new AtomicInteger();
            CompletableFuture<Void> mover =
                    CompletableFuture.runAsync(
                            () -> {
                                while (!done.get()) {
                                    moves.addAndGet(table.defragment(guard).blocks());
                                }
                            },
                            threads);
            CompletableFuture<Void> churn =
                    CompletableFuture.runAsync(() -> churn(table, type, done), threads);
            try {
                // a loaded machine may let the movers run late
                long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
                for (int round = 0;
                        round < 1_500 || moves.get() <= 100 && System.nanoTime() < deadline;
                        ++round) {
                    Map<Integer, Adapter> step = new TreeMap<>();
                    for (int slot = 0; slot < served; ++slot) {
                        if (random.nextBoolean() && guard.lease(slot)) {
                            step.put(slot, resident.get(slot));
                        }
                    }
                    check(manager, backend, type, table, step);
                    step.keySet().forEach(leases::decrementAndGet);
                }
            } finally {
                done.set(true);
            }
            churn.join();
            mover.join();
            Assert.assertTrue(moves.get() > 100, moves + " moves");
            check(manager, backend, type, table, resident);
        } finally {
            threads.shutdown();
        }
    }

    private static void churn(AdapterTable table, ElementType type, AtomicBoolean done) {
        Random random = new Random(37);
        List<Integer> slots = new ArrayList<>();
        while (!done.get()) {
            if (slots.size() < 10) {
                try {
                    slots.add(table.put(new Adapter(random, type).packed));
                } catch (LoraMemoryException e) {
                    Assert.assertFalse(slots.isEmpty(), e.getMessage());
                    table.remove(slots.remove(random.nextInt(slots.size())));
                }
            } else {
                table.remove(slots.remove(random.nextInt(slots.size())));
            }
        }
    }

    @Test
    public void removalWaitsForAMoveUnderWay() throws Exception {
        LoraBackend backend = nativeBackend();
        ElementType type = ElementType.FLOAT32;
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                AdapterTable table = backend.newTable(manager, MODULES, type, 1 << 20)) {
            int first = table.put(new Adapter(new Random(1), type).packed);
            int second = table.put(new Adapter(new Random(2), type).packed);
            table.remove(first);
            CompletableFuture<Void> removal = new CompletableFuture<>();
            Thread remover =
                    new Thread(
                            () -> {
                                table.remove(second);
                                removal.complete(null);
                            });
            Guard guard =
                    new Guard(Set.of()) {
                        @Override
                        public boolean tryHold(int slot) {
                            remover.start();
                            // long enough to come in between, were it let in
                            Assert.assertThrows(
                                    TimeoutException.class,
                                    () -> removal.get(50, TimeUnit.MILLISECONDS));
                            return super.tryHold(slot);
                        }
                    };
            Assert.assertEquals(table.defragment(guard).blocks(), 1);
            removal.get(10, TimeUnit.SECONDS);
            Assert.assertEquals(statistics(table).used(), 0);
            Assert.assertEquals(statistics(table).freeRanges(), 1);
        }
    }

    @Test
    public void everyBackendOfAContextGetsItsMemory() {
        nativeBackend();
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context =
                        new LoraContext(
                                BackendManager.builder().build(), ElementType.FLOAT32, manager)) {
            context.useBackend("cpu");
            Assert.assertThrows(IllegalArgumentException.class, () -> context.setAdapterMemory(-1));
            Assert.assertThrows(IllegalArgumentException.class, () -> context.setAdapterMemory(63));
            context.setAdapterMemory(1 << 20);
            NDArray weight = manager.ones(new ai.djl.ndarray.types.Shape(OUTS[0], IN));
            context.addModule("a", weight, null);
            Assert.assertEquals(statistics(context.getTable()).limit(), 1 << 20);
            Assert.assertThrows(IllegalStateException.class, () -> context.setAdapterMemory(0));
            context.useBackend("pytorch");
            Assert.assertTrue(context.getTable().poolStatistics().isEmpty());
            Assert.assertEquals(context.getTable().defragment(IDLE), new Defragmentation(0, 0));
            context.useBackend("cpu");
            Assert.assertEquals(statistics(context.getTable()).limit(), 1 << 20);
        }
    }

    @Test
    public void memoryThatTheSystemRefusesIsNamed() {
        LoraBackend backend = nativeBackend();
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            LoraMemoryException e =
                    Assert.expectThrows(
                            LoraMemoryException.class,
                            () ->
                                    backend.newTable(
                                            manager, MODULES, ElementType.FLOAT32, 1L << 60));
            Assert.assertTrue(e.getMessage().contains("1152921504606846976"), e.getMessage());
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> backend.newTable(manager, MODULES, ElementType.FLOAT32, 8));
            Assert.assertEquals(manager.getManagedArrays().size(), 0);
        }
    }

    private static LoraBackend nativeBackend() {
        if (LoraBackends.list().stream()
                .noneMatch(status -> "cpu".equals(status.name()) && status.available())) {
            throw new org.testng.SkipException("no native library here");
        }
        return LoraBackends.choose("cpu");
    }

    private static PoolStatistics statistics(AdapterTable table) {
        return table.poolStatistics().orElseThrow();
    }

    /** Refuses leased slots, and checks that it is asked for one slot at a time. */
    private static class Guard implements SlotGuard {

        private final Set<Integer> leased;
        private final Set<Integer> held = new TreeSet<>();

        Guard(Set<Integer> leased) {
            this.leased = leased;
        }

        @Override
        public boolean tryHold(int slot) {
            Assert.assertTrue(held.isEmpty());
            return !leased.contains(slot) && held.add(slot);
        }

        @Override
        public void release(int slot) {
            Assert.assertTrue(held.remove(slot));
        }
    }

    /** Counts leases of the first slots; -1 while a slot is held. */
    private record LeaseGuard(AtomicIntegerArray leases) implements SlotGuard {

        boolean lease(int slot) {
            int count = leases.get(slot);
            return count >= 0 && leases.compareAndSet(slot, count, count + 1);
        }

        @Override
        public boolean tryHold(int slot) {
            return slot >= leases.length() || leases.compareAndSet(slot, 0, -1);
        }

        @Override
        public void release(int slot) {
            if (slot < leases.length()) {
                leases.set(slot, 0);
            }
        }
    }

    /** A random adapter and what it makes of a row, computed in float64. */
    private static final class Adapter {

        private final List<OperatorCase.Part> parts;
        private final PackedAdapter packed;

        Adapter(Random random, ElementType type) {
            this(random, type, 1 + random.nextInt(20), random.nextBoolean());
        }

        Adapter(Random random, ElementType type, int rank, boolean int8) {
            List<OperatorCase.Part> exact =
                    Arrays.stream(OUTS)
                            .mapToObj(out -> OperatorCase.Part.plain(random, rank, IN, out))
                            .toList();
            PackedAdapter whole = OperatorCase.pack(exact, 0, type);
            packed = int8 ? Int8Packing.round(whole, MODULES) : whole;
            parts = int8 ? exact.stream().map(OperatorCase.Part::round).toList() : exact;
        }

        /*
         * float32: relative 1e-5, absolute 1e-6, and for cancellation 2^-24 of the magnitudes for
         * each of at most 44 additions in a chain. The 16-bit types round the result by half an ulp
         * (2^-8 or less) and A x to two halves, 2^-17.
         */
        void check(ElementType type, int m, int row, float[] x, float[] base, float[] y, int slot) {
            OperatorCase.Part part = parts.get(m);
            for (int o = 0; o < OUTS[m]; ++o) {
                double sum = base[row * OUTS[m] + o];
                double magnitude = Math.abs(sum);
                for (int r = 0; r < part.rank(); ++r) {
                    double factor = (double) part.scale() * part.b()[o * part.rank() + r];
                    for (int i = 0; i < IN; ++i) {
                        double term = factor * part.a()[r * IN + i] * x[row * IN + i];
                        sum += term;
                        magnitude += Math.abs(term);
                    }
                }
                double tolerance = 1e-5 * Math.abs(sum) + 1e-6 + 44 * 0x1p-24 * magnitude;
                if (type != ElementType.FLOAT32) {
                    tolerance += 0x1p-17 * magnitude + 0x1p-8 * Math.abs(sum);
                }
                Assert.assertEquals(
                        y[row * OUTS[m] + o], sum, tolerance, "slot " + slot + ", output " + o);
            }
        }
    }
}
