/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.Model;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.LlamaBlock;
import ai.djl.lora.model.LlamaBlockFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Compares a request for an adapter that is on the device with one for the base alone, on a model
 * of Qwen2-0.5B's shape in bfloat16: a prompt of 64 tokens and 16 new ones.
 */
final class ResidentCostBench {

    private static final int PROMPT = 64;
    private static final int NEW_TOKENS = 16;

    private final SyntheticAdapters shape;
    private final boolean quick;

    /**
     * Constructs a new {@code ResidentCostBench} instance.
     *
     * @param quick whether a tenth of the layers and few requests are enough
     */
    ResidentCostBench(boolean quick) {
        this.quick = quick;
        shape = new SyntheticAdapters(quick);
    }

    /**
     * Measures the latencies.
     *
     * @param directory where the model is written to
     * @param results where to add how many times as long a request with an adapter takes, of q and
     *     v alone (PEFT's default for such models) and of all linear layers
     * @throws IOException if the model cannot be written or read
     */
    void run(Path directory, Map<String, Object> results) throws IOException {
        Path folder = shape.writeModel(directory.resolve("model"));
        Path small =
                shape.write(
                        directory.resolve("small"),
                        1,
                        Set.of("self_attn.q_proj", "self_attn.v_proj"));
        Path large = shape.write(directory.resolve("large"), 2);
        try (Model model = Model.newInstance("synthetic", "PyTorch")) {
            LlamaBlock block =
                    (LlamaBlock)
                            new LlamaBlockFactory()
                                    .newBlock(model, folder, Map.of("dtype", "bfloat16"));
            model.setBlock(block);
            block.getAdapters().register("small", small);
            block.getAdapters().register("large", large);
            Interleaved times = new Interleaved();
            EngineOptions options =
                    EngineOptions.builder().optPrefixCaching(false).optSpeculation(false).build();
            try (GenerationEngine engine = new GenerationEngine(block, options)) {
                for (String adapter : List.of("", "small", "large")) {
                    times.add(adapter, () -> engine.generate(List.of(request(adapter))));
                }
                times.run(quick ? 3 : 21);
            }
            results.put("resident_over_base_latency_qv", times.ratio("small", ""));
            results.put("resident_over_base_latency_all", times.ratio("large", ""));
        }
    }

    private static GenerationRequest request(String adapter) {
        int[] prompt = new int[PROMPT];
        for (int i = 0; i < PROMPT; ++i) {
            prompt[i] = 1 + 37 * i;
        }
        return new GenerationRequest(prompt, adapter, SamplingParameters.greedy(NEW_TOKENS));
    }
}
