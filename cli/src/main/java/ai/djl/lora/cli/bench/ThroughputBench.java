/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.jni.LoraNative;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** Runs the same requests with adapters and without, in turns, on one model. */
final class ThroughputBench {

    private static final long READ_BYTES = 512L << 20;

    private final BenchModel model;
    private final BenchLoad load;

    /** What came of one round. */
    private record Round(
            double seconds,
            double decodeSeconds,
            int decodeSteps,
            double engineSeconds,
            double modelSeconds,
            List<RequestClock> clocks) {}

    /**
     * Constructs a new {@code ThroughputBench} instance.
     *
     * @param model the model
     * @param load the work of a round
     */
    ThroughputBench(BenchModel model, BenchLoad load) {
        this.model = model;
        this.load = load;
    }

    /** Counts the steps after the one in which the last request has begun. */
    private final class DecodeClock implements EngineRecorder {

        private int begun;
        private long allBegun;
        private long stepsThen;
        private long steps;

        @Override
        public void firstToken(String adapter, long nanos) {
            ++begun;
        }

        @Override
        public void step(EngineStatistics statistics, long nanos) {
            steps = statistics.steps();
            if (allBegun == 0 && begun == load.requests()) {
                allBegun = System.nanoTime();
                stepsThen = steps;
            }
        }
    }

    private Round round(boolean withAdapters, long seed) {
        DecodeClock decode = new DecodeClock();
        List<RequestClock> clocks = new ArrayList<>();
        List<GenerationHandle> handles = new ArrayList<>();
        try (GenerationEngine engine =
                new GenerationEngine(model.block(), load.engineOptions(decode))) {
            long start = System.nanoTime();
            for (GenerationRequest request :
                    load.requests(model.shape().vocabulary(), withAdapters, seed)) {
                RequestClock clock = new RequestClock(start);
                GenerationHandle handle = engine.submit(request);
                handle.tokens().subscribe(clock);
                clocks.add(clock);
                handles.add(handle);
            }
            handles.forEach(GenerationHandle::join);
            long end = System.nanoTime();
            EngineStatistics statistics = engine.statistics();
            return new Round(
                    (end - start) * 1e-9,
                    (end - decode.allBegun) * 1e-9,
                    (int) (decode.steps - decode.stepsThen),
                    statistics.stepNanos() * 1e-9,
                    statistics.modelNanos() * 1e-9,
                    clocks);
        }
    }

    /** Measures for a number of rounds, after one that is not counted. */
    Map<String, Object> run(int rounds) {
        List<Round> cases = new ArrayList<>();
        List<Round> bases = new ArrayList<>();
        List<Double> reads = new ArrayList<>();
        List<Double> matmuls = new ArrayList<>();
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                MachineLimit limit =
                        new MachineLimit(manager, new OperatorData(model.type()), READ_BYTES);
                RowMatmul matmul = new RowMatmul(manager, model.type(), load.requests())) {
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
        return report(cases, bases, Percentiles.median(reads), Percentiles.median(matmuls));
    }

    private Map<String, Object> report(
            List<Round> cases, List<Round> bases, double bandwidth, double rate) {
        double tokens = (double) load.requests() * load.newTokens();
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("tokens_per_second", tokens / Percentiles.median(seconds(cases)));
        report.put("base_tokens_per_second", tokens / Percentiles.median(seconds(bases)));
        report.put("retention", ratio(seconds(bases), seconds(cases)));
        List<Double> steps = stepSeconds(cases);
        List<Double> baseSteps = stepSeconds(bases);
        if (!steps.isEmpty()) {
            report.put("decode_tokens_per_second", load.requests() / Percentiles.median(steps));
            report.put(
                    "base_decode_tokens_per_second",
                    load.requests() / Percentiles.median(baseSteps));
            report.put("decode_retention", ratio(baseSteps, steps));
            report.put("decode_step_ms", 1e3 * Percentiles.median(steps));
            report.put("base_decode_step_ms", 1e3 * Percentiles.median(baseSteps));
            double least = leastSeconds(true, bandwidth, rate);
            double baseLeast = leastSeconds(false, bandwidth, rate);
            report.put("limit_step_ms", 1e3 * least);
            report.put("share_of_limit", least / Percentiles.median(steps));
            report.put("base_share_of_limit", baseLeast / Percentiles.median(baseSteps));
        }
        report.put("read_gb_per_second", bandwidth * 1e-9);
        report.put("matmul_gflops", rate * 1e-9);
        report.put(
                "engine_share_of_step",
                Percentiles.median(
                        cases.stream()
                                .map(one -> 1 - one.modelSeconds() / one.engineSeconds())
                                .toList()));
        report.put("ttft_ms", times(cases, RequestClock::firstMillis));
        report.put("tpot_ms", times(cases, RequestClock::perTokenMillis));
        return report;
    }

    /* The larger of the step's bytes over the bandwidth and its operations over the matmul rate. */
    private double leastSeconds(boolean withAdapters, double bandwidth, double rate) {
        SyntheticModel shape = model.shape();
        int[] adapters = load.adapterOfRequest();
        long distinct =
                withAdapters ? Arrays.stream(adapters).filter(i -> i >= 0).distinct().count() : 0;
        long adapted = withAdapters ? Arrays.stream(adapters).filter(i -> i >= 0).count() : 0;
        double context = load.promptTokens() + load.newTokens() / 2.0;
        double bytes =
                (shape.products() + distinct * shape.adapterProducts(load.rank()))
                                * model.type().bytes()
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
        return Percentiles.median(ratios);
    }

    private static Map<String, Object> times(
            List<Round> rounds, ToDoubleFunction<RequestClock> of) {
        return Percentiles.of(rounds.stream().flatMap(one -> one.clocks().stream()).mapToDouble(of))
                .report();
    }
}
