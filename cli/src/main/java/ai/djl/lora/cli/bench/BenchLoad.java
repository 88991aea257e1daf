/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * The requests of a benchmark.
 *
 * @param adapters how many adapters there are
 * @param rank their rank
 * @param popularity which request uses which
 * @param requests how many requests there are
 * @param promptTokens the length of their prompts
 * @param newTokens how many tokens each generates
 */
record BenchLoad(
        int adapters, int rank, String popularity, int requests, int promptTokens, int newTokens) {

    private static final String BASE = "base";
    private static final int STEP_TOKENS = 512;

    /** Returns the adapter of each request, -1 for none. */
    int[] adapterOfRequest() {
        if (BASE.equals(popularity)) {
            int[] none = new int[requests];
            Arrays.fill(none, -1);
            return none;
        }
        for (Popularity known : Popularity.values()) {
            if (known.label().equals(popularity.toLowerCase(Locale.ROOT))) {
                return known.slots(requests, adapters);
            }
        }
        throw new LoraConfigurationException(
                "--popularity is "
                        + popularity
                        + "; it must be base, identical, distinct, uniform, zipf or skewed");
    }

    /**
     * Makes the requests: random prompts, every answer of the full length.
     *
     * @param vocabulary the number of tokens that prompts are drawn from
     * @param withAdapters whether they use adapters, or all of them the base
     * @param seed tells these prompts from others
     * @return the requests, those of one adapter together
     */
    List<GenerationRequest> requests(int vocabulary, boolean withAdapters, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        SamplingParameters sampling =
                SamplingParameters.greedy(newTokens).toBuilder().ignoreEos(true).build();
        List<GenerationRequest> made = new ArrayList<>();
        for (int adapter : adapterOfRequest()) {
            int[] prompt = random.ints(promptTokens, 1, vocabulary).toArray();
            String name = withAdapters && adapter >= 0 ? BenchModel.adapterName(adapter) : "";
            made.add(new GenerationRequest(prompt, name, sampling));
        }
        return made;
    }

    /**
     * Returns the options of an engine for these requests: with room for all of them, and without
     * what would make random texts cheaper than others.
     *
     * @param recorder is told of steps
     * @return the options
     */
    EngineOptions engineOptions(EngineRecorder recorder) {
        return EngineOptions.builder()
                .optPrefixCaching(false)
                .optSpeculation(false)
                .optMaxTokensPerStep(Math.max(STEP_TOKENS, requests))
                .optMaxSequences(requests)
                .optMaxQueue(requests)
                .optRecorder(recorder)
                .build();
    }

    /** Adds what these requests are to a report. */
    void describe(Map<String, Object> report) {
        report.put("adapters", adapters);
        report.put("rank", rank);
        report.put("popularity", popularity);
        report.put("requests", requests);
        report.put("prompt_tokens", promptTokens);
        report.put("max_new_tokens", newTokens);
    }
}
