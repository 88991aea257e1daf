/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.Model;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/** Runs the same requests with adapters and without, in turns, on one model. */
final class ThroughputBench implements AutoCloseable {

    private static final String BASE = "base";
    private static final long READ_BYTES = 512L << 20;

    private final SyntheticModel shape;
    private final Load load;
    private final ElementType type;
    private final boolean ownsFolder;
    private final Path folder;
    private final Model model;
    private final CausalLanguageModel block;

    /**
     * The work of a round.
     *
     * @param adapters how many adapters there are
     * @param rank their rank
     * @param popularity which request uses which
     * @param requests how many requests come at once
     * @param promptTokens the length of their prompts
     * @param newTokens how many tokens each generates
     */
    record Load(
            int adapters,
            int rank,
            String popularity,
            int requests,
            int promptTokens,
            int newTokens) {

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
    }

    /** What came of one round. */
    private record Round(
            double seconds,
            double decodeSeconds,
            int decodeSteps,
            double engineSeconds,
            double modelSeconds,
            List<Double> ttft,
            List<Double> tpot) {}

    ThroughputBench(SyntheticModel shape, Load load, ElementType type, Path kept)
            throws IOException {
        this.shape = shape;
        this.load = load;
        this.type = type;
        load.adapterOfRequest(); // what is wrong shows before anything is written
        ownsFolder = kept == null;
        folder = ownsFolder ? Files.createTempDirectory("djl-lora-bench") : kept;
        Path weights = folder.resolve(shape.name());
        if (!Files.exists(weights.resolve("config.json"))) {
            shape.writeModel(weights);
        }
        model = Model.newInstance("synthetic", "PyTorch");
        boolean loaded = false;
        try {
            String name = type.name().toLowerCase(Locale.ROOT);
            block =
                    (CausalLanguageModel)
                            new LlamaBlockFactory().newBlock(model, weights, Map.of("dtype", name));
            model.setBlock(block);
            for (int i = 0; i < load.adapters(); ++i) {
                Path adapter =
                        folder.resolve(shape.name() + "-r" + load.rank()).resolve("adapter" + i);
                if (!Files.exists(adapter.resolve("adapter_config.json"))) {
                    shape.writeAdapter(adapter, load.rank(), i + 1L);
                }
                block.getAdapters().register("adapter" + i, adapter);
            }
            loaded = true;
        } finally {
            if (!loaded) {
                close();
            }
        }
    }

    private final class Clock implements EngineRecorder {

        private final List<Double> first = new ArrayList<>();
        private final List<Double> perToken = new ArrayList<>();
        private long allBegun;
        private long stepsThen;
        private long steps;

        @Override
        public void firstToken(String adapter, long nanos) {
            first.add(nanos * 1e-6);
        }

        @Override
        public void step(EngineStatistics statistics, long nanos) {
            steps = statistics.steps();
            if (allBegun == 0 && first.size() == load.requests()) {
                allBegun = System.nanoTime();
                stepsThen = steps;
            }
        }

        @Override
        public void finished(String adapter, int prompt, int cached, int newTokens, long nanos) {
            perToken.add(nanos * 1e-6);
        }
    }

    private Round round(boolean withAdapters, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] adapters = load.adapterOfRequest();
        Clock clock = new Clock();
        EngineOptions options =
                EngineOptions.builder()
                        .optPrefixCaching(false)
                        .optSpeculation(false)
                        .optMaxTokensPerStep(Math.max(512, load.requests()))
                        .optMaxSequences(load.requests())
                        .optMaxQueue(load.requests())
                        .optRecorder(clock)
                        .build();
        SamplingParameters sampling =
                SamplingParameters.greedy(load.newTokens()).toBuilder().ignoreEos(true).build();
        try (GenerationEngine engine = new GenerationEngine(block, options)) {
            List<GenerationHandle> handles = new ArrayList<>();
            long start = System.nanoTime();
            for (int i = 0; i < load.requests(); ++i) {
                int[] prompt = random.ints(load.promptTokens(), 1, shape.vocabulary()).toArray();
                String adapter = withAdapters && adapters[i] >= 0 ? "adapter" + adapters[i] : "";
                handles.add(engine.submit(new GenerationRequest(prompt, adapter, sampling)));
            }
            handles.forEach(GenerationHandle::join);
            long end = System.nanoTime();
            EngineStatistics statistics = engine.statistics();
            List<Double> tpot = new ArrayList<>();
            for (int i = 0; i < clock.first.size(); ++i) {
                tpot.add(
                        (clock.perToken.get(i) - clock.first.get(i))
                                / Math.max(1, load.newTokens() - 1));
            }
            return new Round(
                    (end - start) * 1e-9,
                    (end - clock.allBegun) * 1e-9,
                    (int) (clock.steps - clock.stepsThen),
                    statistics.stepNanos() * 1e-9,
                    statistics.modelNanos() * 1e-9,
                    clock.first,
                    tpot);
        }
    }

    /** Measures for a number of rounds, after one that is not counted. */
    Map<String, Object> run(int rounds) {
        List<Round> cases = new ArrayList<>();
        List<Round> bases = new ArrayList<>();
        List<Double> reads = new ArrayList<>();
        List<Double> matmuls = new ArrayList<>();
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                MachineLimit limit = new MachineLimit(manager, new OperatorData(type), READ_BYTES);
                RowMatmul matmul = new RowMatmul(manager, type, load.requests())) {
            for (int i = 0; i <= rounds; ++i) {
                LoraNative.releaseThreads();
                Round one = round(true, i);
                Round base = round(false, i);
                double read = limit.bytes() / seconds(limit::read);
                double rate = matmul.bestRate();
                if (i > 0) {
                    cases.add(one);
                    bases.add(base);
                    reads.add(read);
                    matmuls.add(rate);
                }
            }
        }
        return report(cases, bases, median(reads), median(matmuls));
    }

    private Map<String, Object> report(
            List<Round> cases, List<Round> bases, double bandwidth, double rate) {
        double tokens = (double) load.requests() * load.newTokens();
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("model", SyntheticModel.PREFIX + shape.name());
        report.put("dtype", type.name().toLowerCase(Locale.ROOT));
        report.put("adapters", load.adapters());
        report.put("rank", load.rank());
        report.put("popularity", load.popularity());
        report.put("requests", load.requests());
        report.put("prompt_tokens", load.promptTokens());
        report.put("max_new_tokens", load.newTokens());
        report.put("tokens_per_second", tokens / median(seconds(cases)));
        report.put("base_tokens_per_second", tokens / median(seconds(bases)));
        report.put("retention", ratio(seconds(bases), seconds(cases)));
        List<Double> steps = stepSeconds(cases);
        List<Double> baseSteps = stepSeconds(bases);
        if (!steps.isEmpty()) {
            report.put("decode_tokens_per_second", load.requests() / median(steps));
            report.put("base_decode_tokens_per_second", load.requests() / median(baseSteps));
            report.put("decode_retention", ratio(baseSteps, steps));
            report.put("decode_step_ms", 1e3 * median(steps));
            report.put("base_decode_step_ms", 1e3 * median(baseSteps));
            double least = leastSeconds(true, bandwidth, rate);
            double baseLeast = leastSeconds(false, bandwidth, rate);
            report.put("limit_step_ms", 1e3 * least);
            report.put("share_of_limit", least / median(steps));
            report.put("base_share_of_limit", baseLeast / median(baseSteps));
        }
        report.put("read_gb_per_second", bandwidth * 1e-9);
        report.put("matmul_gflops", rate * 1e-9);
        report.put(
                "engine_share_of_step",
                median(
                        cases.stream()
                                .map(one -> 1 - one.modelSeconds() / one.engineSeconds())
                                .toList()));
        report.put("ttft_ms", percentiles(cases.stream().flatMap(one -> one.ttft().stream())));
        report.put("tpot_ms", percentiles(cases.stream().flatMap(one -> one.tpot().stream())));
        return report;
    }

    /* The larger of the step's bytes over the bandwidth and its operations over the matmul rate. */
    private double leastSeconds(boolean withAdapters, double bandwidth, double rate) {
        int[] adapters = load.adapterOfRequest();
        long distinct =
                withAdapters ? Arrays.stream(adapters).filter(i -> i >= 0).distinct().count() : 0;
        long adapted = withAdapters ? Arrays.stream(adapters).filter(i -> i >= 0).count() : 0;
        double context = load.promptTokens() + load.newTokens() / 2.0;
        double bytes =
                (shape.products() + distinct * shape.adapterProducts(load.rank())) * type.bytes()
                        + load.requests() * context * shape.keyValueBytes();
        double operations =
                2.0
                        * (load.requests() * shape.products()
                                + adapted * shape.adapterProducts(load.rank()));
        return Math.max(bytes / bandwidth, operations / rate);
    }

    private static double seconds(Runnable work) {
        long start = System.nanoTime();
        work.run();
        return (System.nanoTime() - start) * 1e-9;
    }

    private static List<Double> seconds(List<Round> rounds) {
        return rounds.stream().map(Round::seconds).toList();
    }

    private static List<Double> stepSeconds(List<Round> rounds) {
        return rounds.stream()
                .filter(one -> one.decodeSteps() > 0)
                .map(one -> one.decodeSeconds() / one.decodeSteps())
                .toList();
    }

    private static double ratio(List<Double> above, List<Double> below) {
        List<Double> ratios = new ArrayList<>();
        for (int i = 0; i < above.size(); ++i) {
            ratios.add(above.get(i) / below.get(i));
        }
        return median(ratios);
    }

    private static double median(List<Double> values) {
        return percentile(values.stream().sorted().toList(), 0.5);
    }

    private static Map<String, Object> percentiles(Stream<Double> values) {
        List<Double> sorted = values.sorted().toList();
        Map<String, Object> result = new LinkedHashMap<>();
        for (int percent : new int[] {50, 90, 99}) {
            result.put("p" + percent, percentile(sorted, percent / 100.0));
        }
        return result;
    }

    private static double percentile(List<Double> sorted, double share) {
        double at = share * (sorted.size() - 1);
        int below = (int) Math.floor(at);
        int above = (int) Math.ceil(at);
        return sorted.get(below) + (at - below) * (sorted.get(above) - sorted.get(below));
    }

    /** Frees the model, and deletes its files where they are not to be kept. */
    @Override
    public void close() {
        model.close();
        if (ownsFolder) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
    }
}
