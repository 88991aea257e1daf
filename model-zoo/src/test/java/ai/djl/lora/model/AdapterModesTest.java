/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.lora.nn.MergedAdapter;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.BackendProvider;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.SlotGuard;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** An adapter merged, stacked, or on a backend that fails answers as PEFT says it must. */
public class AdapterModesTest {

    // the bar of every float32 golden file
    private static final double TOLERANCE = 1e-4;

    /** Variants that begin sequences, and some that change more than linear layers' outputs. */
    private static final Set<String> BEGINNING =
            Set.of("prefix", "prompt", "alora", "dora", "trainable-tokens", "modules-to-save-norm");

    @DataProvider
    public Object[][] models() {
        List<Object[]> cases = new ArrayList<>();
        for (String backend : TestModels.BACKENDS) {
            for (String name : new String[] {"llama2", "qwen2", "qwen3"}) {
                cases.add(new Object[] {backend, name});
            }
        }
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "models")
    public void mergedAdapterAnswersAlone(String backend, String name) {
        Golden adapted = Golden.read(TestModels.folder(name).resolve("golden-adapter.safetensors"));
        Golden base = Golden.read(TestModels.folder(name).resolve("golden.safetensors"));
        Path folder = TestModels.folder(name).resolve("adapter");
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            model.block().getAdapters().register("a", folder);
            model.block().getAdapters().register("b", folder);
            float[] before = logits(model, base, AdapterMix.BASE);
            int arrays = model.manager().getManagedArrays().size();
            try (MergedAdapter merged = MergedAdapter.merge(model.block(), "a")) {
                AdapterMix own = AdapterMix.of(merged.getLease().getSlot());
                close(logits(model, adapted, own), adapted.logits());
                refused(model, base, AdapterMix.BASE);
                refused(model, base, AdapterMix.stack(new int[] {own.slot(0)}, new float[] {2}));
                try (AdapterLease other = model.block().getAdapters().acquire("b")) {
                    refused(model, base, AdapterMix.of(other.getSlot()));
                }
                assertThrows(
                        LoraConfigurationException.class,
                        () -> MergedAdapter.merge(model.block(), "b"));
                close(logits(model, adapted, own), adapted.logits());
            }
            assertEquals(logits(model, base, AdapterMix.BASE), before);
            assertEquals(model.manager().getManagedArrays().size(), arrays);
            try (AdapterLease lease = model.block().getAdapters().acquire("b")) {
                close(logits(model, adapted, AdapterMix.of(lease.getSlot())), adapted.logits());
            }
        }
    }

    /* The parts of a stack add up: 0.25 and 0.75 of one adapter are that adapter. */
    @Test(dataProvider = "models")
    public void stackAddsUp(String backend, String name) {
        Golden adapted = Golden.read(TestModels.folder(name).resolve("golden-adapter.safetensors"));
        Path folder = TestModels.folder(name).resolve("adapter");
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            model.block().getAdapters().register("a", folder);
            model.block().getAdapters().register("b", folder);
            try (AdapterLease a = model.block().getAdapters().acquire("a");
                    AdapterLease b = model.block().getAdapters().acquire("b")) {
                int[] slots = {a.getSlot(), b.getSlot()};
                AdapterMix stack = AdapterMix.stack(slots, new float[] {0.25f, 0.75f});
                close(logits(model, adapted, stack), adapted.logits());
            }
        }
    }

    @Test
    public void stepOfAFailingBackendRunsAgain() {
        Golden adapted =
                Golden.read(TestModels.folder("qwen3").resolve("golden-adapter.safetensors"));
        try (NDManager manager = NDManager.newBaseManager(null, "PyTorch")) {
            FailingProvider failing = new FailingProvider();
            BackendManager backends =
                    BackendManager.builder()
                            .addProvider(failing)
                            .optFallbackOrder(List.of("failing", "pytorch"))
                            .build();
            LoraContext context = new LoraContext(backends, ElementType.FLOAT32, manager);
            Path folder = TestModels.model("qwen3");
            LlamaBlock block = LlamaBlock.load(folder, LlamaConfig.read(folder), context);
            TestModels.Loaded model = new TestModels.Loaded(block, manager);
            block.getAdapters().register("a", TestModels.folder("qwen3").resolve("adapter"));
            try (AdapterLease lease = block.getAdapters().acquire("a")) {
                failing.callsLeft = 9; // the second layer is half done by then
                close(logits(model, adapted, AdapterMix.of(lease.getSlot())), adapted.logits());
                assertEquals(context.getBackend().getName(), "pytorch");
                assertEquals(context.getBackendStatus().get(0).failures(), 1);
                close(logits(model, adapted, AdapterMix.of(lease.getSlot())), adapted.logits());
            }
            context.close();
        }
    }

    /* What a sequence begins with is written to its cache again, and in the same place. */
    @Test
    public void stepsThatBeginSequencesRunAgain() {
        try (NDManager manager = NDManager.newBaseManager(null, "PyTorch")) {
            FailingProvider failing = new FailingProvider();
            BackendManager backends =
                    BackendManager.builder()
                            .addProvider(failing)
                            .optFallbackOrder(List.of("failing", "pytorch"))
                            .build();
            LoraContext context = new LoraContext(backends, ElementType.FLOAT32, manager);
            Path folder = VariantGolden.folder("qwen2").resolve("base");
            LlamaBlock block = LlamaBlock.load(folder, LlamaConfig.read(folder), context);
            TestModels.Loaded model = new TestModels.Loaded(block, manager);
            List<VariantGolden> goldens =
                    VariantGolden.list("qwen2").stream()
                            .filter(golden -> BEGINNING.contains(golden.name()))
                            .toList();
            assertEquals(goldens.size(), BEGINNING.size());
            for (VariantGolden golden : goldens) {
                block.getAdapters()
                        .register(
                                golden.adapter(), VariantGolden.adapter("qwen2", golden.adapter()));
            }
            List<AdapterLease> leases =
                    goldens.stream().map(g -> block.getAdapters().acquire(g.adapter())).toList();
            List<KvCache> caches = goldens.stream().map(g -> block.newKvCache(manager)).toList();
            ForwardStep.Builder first = ForwardStep.builder().optAllPositions(true);
            ForwardStep.Builder second = ForwardStep.builder().optAllPositions(true);
            for (int i = 0; i < goldens.size(); ++i) {
                int[] tokens = goldens.get(i).golden().row(0);
                int slot = leases.get(i).getSlot();
                int last = tokens.length - 1;
                first.addSequence(caches.get(i), slot, Arrays.copyOf(tokens, last));
                second.addSequence(caches.get(i), slot, tokens[last]);
            }
            failing.callsLeft = 9; // the second layer is half done by then
            float[] prompts = model.logits(first.build());
            assertEquals(context.getBackend().getName(), "pytorch");
            assertEquals(context.getBackendStatus().get(0).failures(), 1);
            float[] tokens = model.logits(second.build());
            int vocab = block.getConfig().vocabSize();
            int size = prompts.length / goldens.size();
            for (int i = 0; i < goldens.size(); ++i) {
                float[] expected = goldens.get(i).logits(0);
                close(
                        Arrays.copyOfRange(prompts, i * size, (i + 1) * size),
                        Arrays.copyOf(expected, size));
                close(
                        Arrays.copyOfRange(tokens, i * vocab, (i + 1) * vocab),
                        Arrays.copyOfRange(expected, size, size + vocab));
            }
            leases.forEach(AdapterLease::close);
            context.close();
        }
    }

    @Test
    public void adapterWhoseFilesAreGoneFallsBackFromItsCopy() throws java.io.IOException {
        try (NDManager manager = NDManager.newBaseManager(null, "PyTorch")) {
            FailingProvider failing = new FailingProvider();
            BackendManager backends =
                    BackendManager.builder()
                            .addProvider(failing)
                            .optFallbackOrder(List.of("failing", "pytorch"))
                            .build();
            LoraContext context = new LoraContext(backends, ElementType.FLOAT32, manager);
            Path folder = TestModels.model("llama2");
            LlamaBlock block = LlamaBlock.load(folder, LlamaConfig.read(folder), context);
            TestModels.Loaded model = new TestModels.Loaded(block, manager);
            Path adapter = TestModels.copy(TestModels.folder("llama2").resolve("adapter"));
            block.getAdapters().register("a", adapter);
            TestModels.delete(adapter);
            Golden base = Golden.read(TestModels.folder("llama2").resolve("golden.safetensors"));
            try (AdapterLease lease = block.getAdapters().acquire("a")) {
                AdapterMix mix = AdapterMix.of(lease.getSlot());
                failing.callsLeft = Integer.MAX_VALUE;
                float[] expected = logits(model, base, mix);
                failing.callsLeft = 3;
                close(logits(model, base, mix), expected);
                assertEquals(context.getBackend().getName(), "pytorch");
            }
            context.close();
        }
    }

    private static void refused(TestModels.Loaded model, Golden golden, AdapterMix mix) {
        assertThrows(LoraConfigurationException.class, () -> logits(model, golden, mix));
    }

    private static void close(float[] actual, float[] expected) {
        double difference = TestModels.maxDifference(actual, expected);
        assertTrue(difference <= TOLERANCE, "largest difference " + difference);
    }

    /** Computes the logits of all rows of a golden file in one step, every row with one mix. */
    private static float[] logits(TestModels.Loaded model, Golden golden, AdapterMix mix) {
        List<KvCache> caches = new ArrayList<>();
        try {
            ForwardStep.Builder step = ForwardStep.builder().optAllPositions(true);
            for (int i = 0; i < golden.batch(); ++i) {
                caches.add(model.block().newKvCache(model.manager()));
                step.addSequence(caches.get(i), mix, golden.row(i));
            }
            return model.logits(step.build());
        } finally {
            Collections.reverse(caches);
            caches.forEach(KvCache::close);
        }
    }

    /** Provides a plain backend whose operator fails after a number of calls. */
    private static final class FailingProvider implements BackendProvider {

        private final LoraBackend plain = TestModels.backend("pytorch");
        private int callsLeft = Integer.MAX_VALUE;

        @Override
        public String getName() {
            return "failing";
        }

        @Override
        public String getDescription() {
            return "fails after a number of calls";
        }

        @Override
        public Optional<String> whyUnavailable() {
            return Optional.empty();
        }

        @Override
        public LoraBackend create() {
            return new LoraBackend() {
                @Override
                public String getName() {
                    return "failing";
                }

                @Override
                public boolean supports(ElementType type) {
                    return plain.supports(type);
                }

                @Override
                public TensorOps getTensorOps(ElementType type) {
                    if (callsLeft < 0) {
                        throw new LoraBackendException("out of order");
                    }
                    return plain.getTensorOps(type);
                }

                @Override
                public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
                    return plain.adapterBytes(modules, ranks, type);
                }

                @Override
                public AdapterTable newTable(
                        NDManager manager,
                        List<LoraModule> modules,
                        ElementType type,
                        long memory) {
                    return new FailingTable(plain.newTable(manager, modules, type, memory));
                }
            };
        }

        private final class FailingTable implements AdapterTable {

            private final AdapterTable table;

            FailingTable(AdapterTable table) {
                this.table = table;
            }

            @Override
            public int put(PackedAdapter adapter) {
                return table.put(adapter);
            }

            @Override
            public void put(int slot, PackedAdapter adapter) {
                table.put(slot, adapter);
            }

            @Override
            public void remove(int slot) {
                table.remove(slot);
            }

            @Override
            public long bytesOf(PackedAdapter adapter) {
                return table.bytesOf(adapter);
            }

            @Override
            public NDArray apply(
                    int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
                NDArray result = table.apply(module, x, base, bias, plan);
                if (--callsLeft < 0) {
                    // after the base product was written over, as a kernel may fail
                    throw new LoraBackendException("out of order");
                }
                return result;
            }

            @Override
            public long residentBytes() {
                return table.residentBytes();
            }

            @Override
            public Optional<PoolStatistics> poolStatistics() {
                return table.poolStatistics();
            }

            @Override
            public Defragmentation defragment(SlotGuard guard) {
                return table.defragment(guard);
            }

            @Override
            public void close() {
                table.close();
            }
        }
    }
}
