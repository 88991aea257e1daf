/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.Backends;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Names, leases and memory of a store, with an adapter that PEFT wrote. */
public class AdapterStoreTest {

    private static final Path MODEL = Path.of("../src/test/resources/goldens/llama2/model");
    private static final Path ADAPTER = Path.of("../src/test/resources/goldens/llama2/adapter");

    private static final Path OTHER = Path.of("../src/test/resources/goldens/llama2/rank-5");

    private static final String QUERY = "model.layers.0.self_attn.q_proj";

    @DataProvider
    public Object[][] backends() {
        return Backends.withTypes();
    }

    @Test(dataProvider = "backends")
    public void leasedAdapterOutlivesItsName(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = llama2(backend, type, manager)) {
            AdapterStore store = new AdapterStore(context);
            store.register("a", ADAPTER);
            long bytes = context.getTable().residentBytes();
            Assert.assertTrue(bytes > 0);
            AdapterLease lease = store.acquire("a");
            AdapterLease second = store.acquire("a");
            store.unregister("a");
            Assert.assertEquals(store.names(), Set.of());
            Assert.assertEquals(context.getTable().residentBytes(), bytes);
            store.register("a", ADAPTER);
            try (AdapterLease fresh = store.acquire("a")) {
                Assert.assertNotEquals(fresh.getSlot(), lease.getSlot());
                Assert.assertEquals(fresh.getRevision(), lease.getRevision());
            }
            lease.close();
            lease.close();
            Assert.assertThrows(IllegalStateException.class, lease::getSlot);
            Assert.assertEquals(context.getTable().residentBytes(), 2 * bytes);
            second.close();
            Assert.assertEquals(context.getTable().residentBytes(), bytes);
            store.close();
            Assert.assertEquals(context.getTable().residentBytes(), 0);
        }
    }

    @Test(dataProvider = "backends")
    public void namesAreChecked(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = llama2(backend, type, manager);
                AdapterStore store = new AdapterStore(context)) {
            store.register("a", ADAPTER);
            LoraConfigurationException taken =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> store.register("a", ADAPTER));
            Assert.assertEquals(
                    taken.getMessage(), "Adapter \"a\" is registered already; unregister it first");
            LoraConfigurationException unknown =
                    Assert.expectThrows(LoraConfigurationException.class, () -> store.acquire("b"));
            Assert.assertEquals(unknown.getMessage(), "Unknown adapter \"b\"; registered are [a]");
            Assert.assertThrows(
                    LoraConfigurationException.class, () -> store.register(" ", ADAPTER));
            Assert.assertThrows(LoraConfigurationException.class, () -> store.unregister("b"));
        }
    }

    @Test(dataProvider = "backends")
    public void failedRegistrationLeavesNothing(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            context.addModule(
                    "model.layers.0.self_attn.q_proj",
                    context.getOps().zeros(manager, new Shape(3, 3), type),
                    null);
            try (AdapterStore store = new AdapterStore(context)) {
                Assert.assertThrows(
                        LoraCompatibilityException.class, () -> store.register("a", ADAPTER));
                Assert.assertEquals(store.names(), Set.of());
                Assert.assertEquals(context.getTable().residentBytes(), 0);
                // the name is free again: the second failure is about the adapter, not the name
                Assert.assertThrows(
                        LoraCompatibilityException.class, () -> store.register("a", ADAPTER));
            }
        }
    }

    @Test(dataProvider = "backends")
    public void isAsStrictAsThePolicySays(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = new LoraContext(backend, type, manager)) {
            try (AdapterFiles files = AdapterFiles.open(ADAPTER, FormatLimits.DEFAULTS)) {
                // a model that has one of the adapter's layers
                TensorInfo a = files.tensors().get(QUERY + ".lora_A.weight");
                TensorInfo b = files.tensors().get(QUERY + ".lora_B.weight");
                Shape shape = new Shape(b.shape()[0], a.shape()[1]);
                context.addModule(QUERY, context.getOps().zeros(manager, shape, type), null);
            }
            LoadingPolicy policy = LoadingPolicy.builder().allowUnused(".*").build();
            try (AdapterStore store = new AdapterStore(context)) {
                Assert.assertThrows(
                        LoraCompatibilityException.class, () -> store.register("a", ADAPTER));
                LoadReport report = store.register("a", ADAPTER, policy);
                Assert.assertEquals(report.applied(), List.of(QUERY));
                try (AdapterLease lease = store.acquire("a")) {
                    Assert.assertEquals(
                            store.reload(lease).revision(), report.revision().orElseThrow());
                }
            }
        }
    }

    @Test(dataProvider = "backends")
    public void oneOfManyConcurrentRegistrationsWins(LoraBackend backend, ElementType type)
            throws InterruptedException {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = llama2(backend, type, manager);
                AdapterStore store = new AdapterStore(context)) {
            int count = 8;
            CountDownLatch start = new CountDownLatch(1);
            AtomicInteger refused = new AtomicInteger();
            Thread[] threads = new Thread[count];
            for (int i = 0; i < count; ++i) {
                threads[i] =
                        new Thread(
                                () -> {
                                    try {
                                        start.await();
                                        store.register("a", ADAPTER);
                                    } catch (LoraConfigurationException e) {
                                        refused.incrementAndGet();
                                    } catch (InterruptedException e) {
                                        Thread.currentThread().interrupt();
                                    }
                                });
                threads[i].start();
            }
            start.countDown();
            for (Thread thread : threads) {
                thread.join();
            }
            Assert.assertEquals(refused.get(), count - 1);
            long bytes = context.getTable().residentBytes();
            store.unregister("a");
            Assert.assertTrue(bytes > 0);
            Assert.assertEquals(context.getTable().residentBytes(), 0);
        }
    }

    @Test(dataProvider = "backends")
    public void stacksLeaseTheirParts(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = llama2(backend, type, manager)) {
            AdapterStore store = new AdapterStore(context);
            store.register("a", ADAPTER);
            store.register("b", ADAPTER);
            store.registerStack("both", Map.of("a", 0.25f, "b", 0.75f));
            Assert.assertEquals(store.stackNames(), Set.of("both"));
            refused(() -> store.register("both", ADAPTER), "\"both\" is a stack already");
            refused(() -> store.registerStack("a", Map.of("b", 1f)), "is registered already");
            refused(() -> store.registerStack("c", Map.of()), "has no adapters");
            refused(() -> store.registerStack("c", Map.of("d", 1f)), "Unknown adapter \"d\"");
            refused(
                    () -> store.registerStack("c", Map.of("a", Float.NaN)),
                    "Stack \"c\" gives \"a\" the weight NaN");
            refused(() -> store.unregister("a"), "is part of stack \"both\"");
            AdapterLease lease = store.acquire("both");
            Assert.assertEquals(lease.getMix().size(), 2);
            Assert.assertThrows(IllegalStateException.class, lease::getSlot);
            Assert.assertTrue(lease.getRevision().contains("0.25*"), lease.getRevision());
            store.unregister("both");
            store.unregister("a");
            store.unregister("b");
            Assert.assertTrue(context.getTable().residentBytes() > 0);
            lease.close();
            Assert.assertEquals(context.getTable().residentBytes(), 0);
        }
    }

    private static void refused(Assert.ThrowingRunnable work, String message) {
        LoraConfigurationException e = Assert.expectThrows(LoraConfigurationException.class, work);
        Assert.assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test(dataProvider = "backends")
    public void candidatesTakeTheirPlacesOrLeaveNothing(LoraBackend backend, ElementType type) {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = llama2(backend, type, manager);
                AdapterStore store = new AdapterStore(context)) {
            store.register("a", ADAPTER);
            String old = store.state("a").revision();
            long bytes = context.getTable().residentBytes();
            refused(
                    () -> store.tryOut("b", OTHER, AdapterSettings.DEFAULTS),
                    "Unknown adapter \"b\"");
            refused(() -> store.tryOut("a", MODEL, AdapterSettings.DEFAULTS), "adapter_model");
            Assert.assertEquals(context.getTable().residentBytes(), bytes);

            AdapterCandidate given = store.tryOut("a", OTHER, AdapterSettings.DEFAULTS);
            String name = given.getRequestName();
            Assert.assertEquals(store.names(), Set.of("a"));
            Assert.assertEquals(store.sources(), Set.of(ADAPTER, OTHER));
            Assert.assertNotNull(store.sequenceStart(name));
            try (AdapterLease lease = store.acquire(name);
                    AdapterLease current = store.acquire("a")) {
                Assert.assertEquals(lease.getRevision(), given.getRevision());
                Assert.assertEquals(current.getRevision(), old);
            }
            Assert.assertTrue(store.offload(name), "offload");
            // read again from its files, which the registry knows nothing of
            Assert.assertEquals(
                    store.withAdapter(name, AdapterLease::getRevision), given.getRevision());
            given.close();
            given.close();
            Assert.assertThrows(IllegalStateException.class, given::promote);
            Assert.assertEquals(context.getTable().residentBytes(), bytes);
            Assert.assertEquals(store.withAdapter(name, AdapterLease::getRevision), old);

            AdapterLease running = store.acquire("a");
            AdapterCandidate taken = store.tryOut("a", OTHER, AdapterSettings.DEFAULTS);
            taken.promote();
            taken.close();
            Assert.assertFalse(taken.isDrained(), "drained");
            Assert.assertEquals(store.sources(), Set.of(ADAPTER, OTHER));
            Assert.assertEquals(running.getRevision(), old);
            running.close();
            Assert.assertTrue(taken.isDrained(), "drained");
            Assert.assertEquals(store.sources(), Set.of(OTHER));
            Assert.assertEquals(store.state("a").revision(), taken.getRevision());
            store.rollback("a");
            Assert.assertEquals(store.state("a").revision(), old);

            AdapterCandidate orphan = store.tryOut("a", OTHER, AdapterSettings.DEFAULTS);
            store.unregister("a");
            refused(orphan::promote, "Unknown adapter \"a\"");
            Assert.assertEquals(context.getTable().residentBytes(), 0);
            refused(() -> store.acquire(orphan.getRequestName()), "Unknown adapter");
        }
    }

    @Test
    public void residentsMoveWithTheBackend() {
        if (!LoraBackends.list().get(0).available()) {
            throw new SkipException(LoraBackends.list().get(0).reason());
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            BackendManager backends = BackendManager.builder().optPreferred("cpu").build();
            LoraContext context = new LoraContext(backends, ElementType.FLOAT32, manager);
            addModules(context);
            AdapterStore store = new AdapterStore(context);
            store.register("first", ADAPTER);
            store.register("second", ADAPTER);
            AdapterLease retired = store.acquire("first");
            store.unregister("first");
            AdapterLease kept = store.acquire("second");
            int slot = kept.getSlot();
            long bytes = context.getTable().residentBytes();
            float[] before = apply(context, slot);

            context.useBackend("pytorch");

            Assert.assertEquals(context.getBackend().getName(), "pytorch");
            Assert.assertEquals(kept.getSlot(), slot);
            Assert.assertEquals(context.getTable().residentBytes(), bytes);
            float[] after = apply(context, slot);
            for (int i = 0; i < before.length; ++i) {
                // two orders of summing 64 products of order 1 in float32
                Assert.assertEquals(after[i], before[i], 1e-4f);
            }
            Assert.assertEquals(apply(context, retired.getSlot()), after);
            retired.close();
            kept.close();
            store.close();
            Assert.assertEquals(context.getTable().residentBytes(), 0);
            context.close();
        }
    }

    /** Applies the first module to ones. */
    private static float[] apply(LoraContext context, int slot) {
        LoraModule module = context.getModules().get(0);
        try (NDManager manager = context.getManager().newSubManager()) {
            NDArray x = manager.ones(new Shape(1, module.inFeatures()));
            NDArray base = manager.zeros(new Shape(1, module.outFeatures()));
            return context.getTable()
                    .apply(0, x, base, null, BatchPlan.uniform(slot, 1))
                    .toFloatArray();
        }
    }

    /** Returns a context with every projection of the golden model as a module. */
    private static LoraContext llama2(LoraBackend backend, ElementType type, NDManager manager) {
        LoraContext context = new LoraContext(backend, type, manager);
        addModules(context);
        return context;
    }

    private static void addModules(LoraContext context) {
        try (SafetensorsFile file = SafetensorsFile.open(MODEL.resolve("model.safetensors"))) {
            for (TensorInfo tensor : file.tensors().values()) {
                if (tensor.name().endsWith("_proj.weight")) {
                    String name =
                            tensor.name().substring(0, tensor.name().length() - ".weight".length());
                    context.addModule(
                            name,
                            context.getOps()
                                    .zeros(
                                            context.getManager(),
                                            new Shape(tensor.shape()),
                                            context.getType()),
                            null);
                }
            }
        }
    }
}
