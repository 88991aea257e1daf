/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.translate.TextResult;
import ai.djl.lora.translate.TextSubmission;
import ai.djl.lora.translate.TextTokenizer;
import java.util.ArrayList;
import java.util.List;

/** Prompts that are answered together, as one mixed batch. */
final class TextBatch {

    private final TextTokenizer tokenizer;
    private final List<String> places = new ArrayList<>();
    private final List<TextSubmission> requests = new ArrayList<>();
    private int answers;
    private EngineStatistics statistics;
    private double seconds;

    /**
     * Constructs a new {@code TextBatch} instance.
     *
     * @param tokenizer the model's tokenizer
     */
    TextBatch(TextTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * Adds a prompt.
     *
     * @param line the line of input, with the fields {@code prompt} and {@code adapter}
     * @param sampling how its tokens are chosen
     */
    void add(PromptReader.Line line, SamplingParameters sampling) {
        String prompt = line.get("prompt");
        if (prompt.isEmpty()) {
            throw new LoraConfigurationException(
                    line.where() + ": field \"prompt\" is empty, expected a text");
        }
        int[] tokens;
        try {
            tokens = tokenizer.encode(prompt);
        } catch (LoraConfigurationException e) {
            throw new LoraConfigurationException(
                    line.where() + ": field \"prompt\": " + e.getMessage(), e);
        }
        places.add(line.where());
        requests.add(
                new TextSubmission(
                        tokenizer, new GenerationRequest(tokens, line.get("adapter"), sampling)));
        answers += sampling.bestOf();
    }

    /**
     * Answers every prompt.
     *
     * @param model the model
     * @param progress told after each step
     * @return the answers, in the prompts' order
     */
    List<TextResult> run(CausalLanguageModel model, Progress progress) {
        List<List<GenerationResult>> results;
        try {
            results = generate(model, progress);
        } catch (GenerationRequestException e) {
            throw new LoraConfigurationException(
                    places.get(e.getIndex()) + ": " + e.getReason(), e);
        }
        List<TextResult> texts = new ArrayList<>(results.size());
        for (List<GenerationResult> each : results) {
            texts.add(requests.get(texts.size()).finish(each));
        }
        return texts;
    }

    private List<List<GenerationResult>> generate(CausalLanguageModel model, Progress progress) {
        long start = System.nanoTime();
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxQueue(Math.max(1, requests.size()))
                        .optRecorder(new Teller(answers, progress))
                        .build();
        try (GenerationEngine engine = new GenerationEngine(model, options)) {
            List<List<GenerationResult>> results =
                    engine.answerAll(requests.stream().map(TextSubmission::submission).toList());
            statistics = engine.statistics();
            return results;
        } finally {
            seconds = (System.nanoTime() - start) * 1e-9;
        }
    }

    /**
     * Returns what was done.
     *
     * @return the numbers of the engine; null before {@link #run}
     */
    EngineStatistics statistics() {
        return statistics;
    }

    /**
     * Returns the number of prompts.
     *
     * @return the number of prompts
     */
    int size() {
        return requests.size();
    }

    /**
     * Returns how long the batch took.
     *
     * @return the time in seconds
     */
    double seconds() {
        return seconds;
    }

    /** Shows how far the batch is. */
    private static final class Teller implements EngineRecorder {

        private final int rows;
        private final Progress progress;
        private int finished;

        Teller(int rows, Progress progress) {
            this.rows = rows;
            this.progress = progress;
        }

        /** {@inheritDoc} */
        @Override
        public void finished(
                String adapter, int promptTokens, int cachedTokens, int newTokens, long nanos) {
            ++finished;
        }

        /** {@inheritDoc} */
        @Override
        public void step(EngineStatistics step, long nanos) {
            progress.update("%d of %d answers, %d tokens", finished, rows, step.newTokens());
        }
    }
}
