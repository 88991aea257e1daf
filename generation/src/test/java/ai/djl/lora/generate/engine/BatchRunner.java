/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.model.CausalLanguageModel;
import java.util.List;
import java.util.function.Consumer;

/** Runs batches, each in an engine of its own. */
final class BatchRunner {

    private final CausalLanguageModel model;
    private final int tokensPerStep;
    private final int maxSequences;

    BatchRunner(CausalLanguageModel model) {
        this(model, 512, 256);
    }

    BatchRunner(CausalLanguageModel model, int tokensPerStep, int maxSequences) {
        this.model = model;
        this.tokensPerStep = tokensPerStep;
        this.maxSequences = maxSequences;
    }

    List<GenerationResult> generate(List<GenerationRequest> requests) {
        return generate(requests, statistics -> {});
    }

    List<GenerationResult> generate(
            List<GenerationRequest> requests, Consumer<EngineStatistics> listener) {
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxTokensPerStep(tokensPerStep)
                        .optMaxSequences(maxSequences)
                        .optKvBytes(64L << 20)
                        .optRecorder(
                                new EngineRecorder() {
                                    @Override
                                    public void step(EngineStatistics statistics, long nanos) {
                                        listener.accept(statistics);
                                    }
                                })
                        .build();
        try (GenerationEngine engine = new GenerationEngine(model, options)) {
            return engine.generate(requests);
        }
    }
}
