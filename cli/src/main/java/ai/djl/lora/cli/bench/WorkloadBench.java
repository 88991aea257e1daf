/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.Model;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.cache.policy.Trace;
import ai.djl.lora.cache.policy.Traces;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.LlamaBlock;
import ai.djl.lora.model.LlamaConfig;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.zoo.DemoModel;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Runs requests by the demo model and copies of its adapters: with room for all, with room for a
 * tenth, and with every adapter loaded again for its request.
 */
final class WorkloadBench implements AutoCloseable {

    private static final int NEW_TOKENS = 4;
    private static final int[] PROMPT = {10, 20, 30, 12};

    private final int adapters;
    private final int requests;
    private final int rounds;
    private final List<Case> cases = new ArrayList<>();

    /**
     * Constructs a new {@code WorkloadBench} instance.
     *
     * @param quick whether few requests are enough
     * @throws IOException if the demo model cannot be read
     */
    WorkloadBench(boolean quick) throws IOException {
        adapters = quick ? 20 : 70;
        requests = quick ? 20 : 100;
        rounds = quick ? 3 : 15;
        cases.add(new Case(adapters, false));
        cases.add(new Case(adapters / 10, false));
        cases.add(new Case(adapters / 10, true));
    }

    /** A model with a store of its own. */
    private final class Case implements AutoCloseable {

        private final Model model = Model.newInstance("demo", "PyTorch");
        private final boolean reloading;
        private final LlamaBlock block;

        Case(int room, boolean reloading) throws IOException {
            this.reloading = reloading;
            DemoModel demo = DemoModel.extract();
            Path folder = demo.baseFolder();
            LoraContext context =
                    new LoraContext(
                            BackendManager.builder().build(),
                            ElementType.FLOAT32,
                            model.getNDManager());
            model.getNDManager().attachInternal("lora-context", context);
            StoreOptions options =
                    StoreOptions.development()
                            .optDevice(TierOptions.of(room, 1L << 30))
                            .optHostEnabled(false)
                            .build();
            block =
                    LlamaBlock.load(
                            folder,
                            LlamaConfig.read(folder),
                            context,
                            new AdapterStore(context, options));
            List<Path> sources = List.copyOf(demo.adapters().values());
            for (int i = 0; i < adapters; ++i) {
                block.getAdapters().register("a" + i, sources.get(i % sources.size()));
            }
        }

        void run(Trace trace) {
            EngineOptions options =
                    EngineOptions.builder().optPrefixCaching(false).optSpeculation(false).build();
            try (GenerationEngine engine = new GenerationEngine(block, options)) {
                for (int i = 0; i < trace.length(); ++i) {
                    engine.generate(List.of(request("a" + trace.request(i))));
                    if (reloading) {
                        block.getAdapters().cleanupUnused(Duration.ZERO);
                    }
                }
            }
        }

        long mostBytes() {
            return block.getAdapters().statistics().device().mostBytes();
        }

        @Override
        public void close() {
            model.close();
        }
    }

    private static GenerationRequest request(String adapter) {
        return new GenerationRequest(PROMPT, adapter, SamplingParameters.greedy(NEW_TOKENS));
    }

    /** Adds what was measured to results. */
    void run(Map<String, Object> results) {
        Trace trace = Traces.zipf(Traces.equalAdapters(adapters), 1, requests, 3);
        Interleaved times =
                new Interleaved()
                        .add("all", () -> cases.get(0).run(trace))
                        .add("tenth", () -> cases.get(1).run(trace))
                        .add("reloading", () -> cases.get(2).run(trace))
                        .run(rounds);
        results.put("tenth_over_all_throughput", times.ratio("all", "tenth"));
        results.put("tenth_over_reloading_throughput", times.ratio("reloading", "tenth"));
        results.put(
                "tenth_memory_saved",
                1 - (double) cases.get(1).mostBytes() / cases.get(0).mostBytes());
    }

    /** Frees the models. */
    @Override
    public void close() {
        cases.forEach(Case::close);
    }
}
