/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.Device;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.memory.MemoryOptions;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.nn.MergedAdapter;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.UninitializedParameterException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.testng.annotations.AfterClass;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** A model on an emulated GPU answers the same wherever its layers lie. */
public class EmulatedOffloadTest {

    private static final int LAYERS = DeepModel.LAYERS;

    /**
     * A low-rank one, one whose factors take norms of the base weights, one with weights of its
     * own.
     */
    private static final List<String> ADAPTERS = List.of("lora", "dora", "modules-to-save-linear");

    private static final long LAYER_BYTES =
            2L * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 56 * 32); // of bfloat16

    private static final long LIMIT = 1000 * LAYER_BYTES;
    private static final long TIER_BYTES = 1 << 20;
    private static final int UNKNOWN = 999;

    private EmulatedDevice gpu;
    private Path folder;
    private float[][] expected;
    private float[] expectedOfBase;

    /** What others than the model's layers have of the device's memory. */
    private final AtomicLong others = new AtomicLong();

    @BeforeClass
    public void prepare() throws IOException {
        gpu = EmulatedDevice.load();
        folder = Files.createTempDirectory("djl-lora-deep");
        DeepModel.write(folder.resolve("model"));
        for (String adapter : ADAPTERS) {
            DeepModel.writeAdapter(folder.resolve(adapter), adapter);
        }
        try (Model model = new Model(OptionalInt.of(0))) {
            expected = model.answers();
            expectedOfBase = model.baseAnswer();
            assertEquals(model.statistics(), new OffloadStatistics(LAYERS, 0, 0, true, 0));
        }
    }

    @AfterClass(alwaysRun = true)
    public void delete() throws IOException {
        if (folder != null) {
            TestModels.delete(folder);
        }
    }

    @AfterMethod(alwaysRun = true)
    public void nothingIsLeft() {
        gpu.slowCopies(0);
        gpu.fail("cuMemcpyHtoDAsync_v2", 0, 0);
        gpu.fail("cuMemHostRegister_v2", 0, 0);
        others.set(0);
        for (String what : List.of("registered", "streams", "events")) {
            assertEquals(gpu.count(what), 0, what);
        }
    }

    @DataProvider
    public Object[][] numbers() {
        // the others take the emulator as long again: -Ddjl.lora.emulated.offload=true
        return Boolean.getBoolean("djl.lora.emulated.offload")
                ? new Object[][] {{1}, {2}, {3}, {4}, {5}, {6}}
                : new Object[][] {{3}, {6}};
    }

    @Test(dataProvider = "numbers")
    public void answersAreTheSame(int offloaded) {
        try (Model model = new Model(OptionalInt.of(offloaded))) {
            model.check();
            OffloadStatistics statistics = model.statistics();
            assertEquals(statistics.offloaded(), offloaded);
            assertEquals(statistics.hostBytes(), offloaded * LAYER_BYTES);
            assertTrue(statistics.pinned());
            if (offloaded <= 2) {
                // each has a buffer to itself
                assertEquals(statistics.streamedBytes(), offloaded * LAYER_BYTES);
            } else {
                assertTrue(statistics.streamedBytes() > 3 * (offloaded - 2) * LAYER_BYTES);
            }
            model.check();
        }
    }

    @Test
    public void slowCopiesAreWaitedFor() {
        try (Model model = new Model(OptionalInt.of(5))) {
            // far slower than a layer of the base model is computed
            gpu.slowCopies(TimeUnit.MILLISECONDS.toNanos(50));
            for (int i = 0; i < 3; ++i) {
                assertEquals(model.baseAnswer(), expectedOfBase);
            }
        }
    }

    @Test
    public void memoryThatIsNotPinnedServesToo() {
        try (Model model = new Model(OptionalInt.of(0))) {
            // so that what adapters need is pinned
            model.check();
        }
        gpu.fail("cuMemHostRegister_v2", 304, 4);
        try (Model model = new Model(OptionalInt.of(4))) {
            assertFalse(model.statistics().pinned());
            model.check();
        }
    }

    @Test
    public void aStepWhoseCopyFailsSaysSoAndTheNextIsRight() {
        try (Model model = new Model(OptionalInt.of(4))) {
            gpu.fail("cuMemcpyHtoDAsync_v2", UNKNOWN, 1);
            // before the step's first layer
            assertFails(model);
            model.check();
            // behind a layer, which another try makes up for
            gpu.fail("cuMemcpyHtoDAsync_v2", UNKNOWN, 1);
            model.check();
            // behind two layers, and before the one that the first of these brings
            gpu.fail("cuMemcpyHtoDAsync_v2", UNKNOWN, 3);
            assertFails(model);
            model.check();
        }
    }

    private static void assertFails(Model model) {
        LoraOffloadException failure = expectThrows(LoraOffloadException.class, model::answers);
        assertTrue(failure.getMessage().matches("Layer \\d cannot be brought.*"), "" + failure);
    }

    @Test
    public void asManyAsTheMemoryAsksForAreOffloadedAtLoad() {
        long fixed = 2L * (2 * 64 * 32 + (2 * LAYERS + 1) * 32);
        others.set(LIMIT * 8 / 10 - TIER_BYTES - LIMIT / 8 - fixed - 4 * LAYER_BYTES);
        try (Model model = new Model(OptionalInt.empty())) {
            assertEquals(model.statistics().offloaded(), 4);
            model.check();
        }
    }

    @Test
    public void layersMoveAsTheUseChanges() throws IOException {
        try (Model model = new Model(OptionalInt.empty())) {
            assertOffloaded(model, 0);
            int arrays = model.manager.getManagedArrays().size();

            others.set(800 * LAYER_BYTES + LAYER_BYTES * 3 / 2);
            // two layers more than fit, and two buffers
            assertOffloaded(model, 4);
            assertOffloaded(model, 4);
            others.addAndGet(LAYER_BYTES);
            assertOffloaded(model, 5);
            others.set(900 * LAYER_BYTES);
            assertOffloaded(model, LAYERS);
            assertOffloaded(model, LAYERS);
            others.set(700 * LAYER_BYTES);
            assertOffloaded(model, LAYERS);
            others.set(590 * LAYER_BYTES);
            for (int left = LAYERS - 1; left >= 0; --left) {
                assertOffloaded(model, left);
            }
            assertOffloaded(model, 0);
            assertEquals(model.statistics().hostBytes(), 0);
            assertEquals(model.manager.getManagedArrays().size(), arrays);
            model.check();
        }
    }

    @Test
    public void aLayerThatCannotBeMovedStays() throws IOException {
        try (Model model = new Model(OptionalInt.empty())) {
            others.set(801 * LAYER_BYTES);
            assertOffloaded(model, 3);
            others.set(500 * LAYER_BYTES);
            gpu.fail("cuMemcpyHtoDAsync_v2", UNKNOWN, 1);
            expectThrows(LoraOffloadException.class, model.block.layerOffload()::adjust);
            assertEquals(model.statistics().offloaded(), 3);
            model.check();
            assertOffloaded(model, 2);
            gpu.fail("cuMemcpyDtoHAsync_v2", UNKNOWN, 1);
            others.set(900 * LAYER_BYTES);
            expectThrows(LoraOffloadException.class, model.block.layerOffload()::adjust);
            assertEquals(model.statistics().offloaded(), 2);
            model.check();
            assertOffloaded(model, LAYERS);
        }
    }

    private void assertOffloaded(Model model, int layers) throws IOException {
        model.block.layerOffload().adjust();
        assertEquals(model.statistics().offloaded(), layers);
        assertEquals(model.baseAnswer(), expectedOfBase);
    }

    @Test
    public void stepsLookAtTheMemoryThemselves() {
        others.set(500 * LAYER_BYTES);
        try (Model model = new Model(OptionalInt.empty(), Duration.ofMillis(1))) {
            model.check();
            assertEquals(model.statistics().offloaded(), 0);
            others.set(900 * LAYER_BYTES);
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
            model.check();
            assertEquals(model.statistics().offloaded(), LAYERS);
        }
    }

    @Test
    public void nobodyElseTakesWhatLiesInABuffer() {
        try (Model model = new Model(OptionalInt.of(3));
                NDManager scratch = model.manager.newSubManager()) {
            model.check();
            LoraLinear linear = model.linear(LAYERS - 1);
            NDArray x =
                    model.context.getOps().zeros(scratch, new Shape(1, 32), ElementType.BFLOAT16);
            IllegalStateException refused =
                    expectThrows(
                            IllegalStateException.class, () -> linear.forward(x, (BatchPlan) null));
            assertTrue(refused.getMessage().startsWith("Layer 5 is offloaded"), "" + refused);
            expectThrows(
                    UninitializedParameterException.class,
                    () -> linear.getDirectParameters().get("weight").getArray());
            LoraConfigurationException merge =
                    expectThrows(
                            LoraConfigurationException.class,
                            () -> MergedAdapter.merge(model.block, "lora"));
            assertTrue(merge.getMessage().contains("offload_layers 0"), "" + merge);
            model.check();
        }
    }

    @Test
    public void layersStayWhileAnAdapterIsMerged() throws IOException {
        try (Model model = new Model(OptionalInt.empty())) {
            MergedAdapter merged = MergedAdapter.merge(model.block, "lora");
            try (merged) {
                others.set(900 * LAYER_BYTES);
                model.block.layerOffload().adjust();
                assertEquals(model.statistics().offloaded(), 0);
            }
            assertOffloaded(model, LAYERS);
        }
    }

    /** A model with its adapters, whose leases are taken anew for each answer. */
    private final class Model implements AutoCloseable {

        private static final int[][] PROMPTS = {{3, 14, 15}, {5}, {9, 7}, {46}};

        private final NDManager manager = NDManager.newBaseManager(Device.gpu(0), "PyTorch");
        private final LoraContext context;
        private final AdapterStore store;
        private LlamaBlock block;

        Model(OptionalInt offloaded) {
            this(offloaded, Duration.ofDays(1));
        }

        Model(OptionalInt offloaded, Duration interval) {
            BackendManager backends =
                    BackendManager.builder().optDevice(Device.gpu(0)).optPreferred("cuda").build();
            context = new LoraContext(backends, ElementType.BFLOAT16, manager);
            store =
                    new AdapterStore(
                            context,
                            StoreOptions.development()
                                    .optDevice(TierOptions.of(ADAPTERS.size(), TIER_BYTES))
                                    .optMonitoringEnabled(true)
                                    .optMemory(
                                            MemoryOptions.builder()
                                                    .optSampleInterval(interval)
                                                    .build())
                                    .optDeviceMemorySource(this::memory)
                                    .build());
            Path model = folder.resolve("model");
            block = LlamaBlock.load(model, LlamaConfig.read(model), context, store, offloaded);
            ADAPTERS.forEach(name -> store.register(name, folder.resolve(name)));
        }

        private MemoryReading memory() {
            int away = block == null ? 0 : statistics().offloaded();
            long saved = Math.max(0, away - 2) * LAYER_BYTES;
            return new MemoryReading(
                    others.get() - Math.min(saved, others.get()), 0, LIMIT, "test");
        }

        OffloadStatistics statistics() {
            return block.getOffloadStatistics().orElseThrow();
        }

        LoraLinear linear(int layer) {
            return block.layerOffload().linears(layer).get(0);
        }

        void check() {
            float[][] answers = answers();
            for (int i = 0; i < expected.length; ++i) {
                assertEquals(answers[i], expected[i], "step " + i);
            }
        }

        /** Answers without an adapter, which takes the emulator no time. */
        float[] baseAnswer() {
            try (KvCache cache = block.newKvCache(manager)) {
                return logits(
                        ForwardStep.builder().addSequence(cache, AdapterMix.BASE, 3, 1).build());
            }
        }

        /** Answers four sequences in a step of prompts and two of a token each. */
        float[][] answers() {
            List<AdapterLease> leases = ADAPTERS.stream().map(store::acquire).toList();
            List<KvCache> caches = new ArrayList<>();
            try {
                for (int i = 0; i < PROMPTS.length; ++i) {
                    caches.add(block.newKvCache(manager));
                }
                float[][] answers = new float[3][];
                for (int step = 0; step < answers.length; ++step) {
                    ForwardStep.Builder builder = ForwardStep.builder().optAllPositions(true);
                    for (int i = 0; i < PROMPTS.length; ++i) {
                        AdapterMix mix = i == 0 ? AdapterMix.BASE : leases.get(i - 1).getMix();
                        int[] tokens = step == 0 ? PROMPTS[i] : new int[] {step + 7 * i};
                        builder.addSequence(caches.get(i), mix, tokens);
                    }
                    answers[step] = logits(builder.build());
                }
                return answers;
            } finally {
                caches.forEach(KvCache::close);
                leases.forEach(AdapterLease::close);
            }
        }

        float[] logits(ForwardStep step) {
            try (NDManager results = manager.newSubManager();
                    NDArray logits = block.forward(results, step)) {
                return logits.toFloatArray();
            }
        }

        @Override
        public void close() {
            context.close();
            manager.close();
        }
    }
}
