/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/**
 * Sends requests at a given rate, whether earlier ones have ended or not, with adapters and on the
 * base alone.
 *
 * <p>Arrivals are a Poisson process. Times count from when a request was due, so that an engine
 * that is late is seen to be.
 */
final class LatencyBench {

    private final BenchModel model;
    private final BenchLoad load;

    /**
     * Constructs a new {@code LatencyBench} instance.
     *
     * @param model the model
     * @param load the requests for each rate
     */
    LatencyBench(BenchModel model, BenchLoad load) {
        this.model = model;
        this.load = load;
    }

    /** What came of the requests at one rate. */
    private static final class Times {

        private final List<RequestClock> clocks = new ArrayList<>();
        private double seconds;

        Map<String, Object> report(BenchLoad load, int rounds) {
            double tokens = (double) rounds * load.requests() * load.newTokens();
            Map<String, Object> report = new LinkedHashMap<>();
            report.put("tokens_per_second", tokens / seconds);
            report.put("ttft_ms", percentiles(RequestClock::firstMillis));
            report.put("tpot_ms", percentiles(RequestClock::perTokenMillis));
            report.put("latency_ms", percentiles(RequestClock::totalMillis));
            return report;
        }

        private Map<String, Object> percentiles(ToDoubleFunction<RequestClock> of) {
            return Percentiles.of(clocks.stream().mapToDouble(of)).report();
        }
    }

    /**
     * Measures.
     *
     * @param rates requests a second
     * @param rounds how often each is measured, with other arrivals and prompts
     * @return for each rate what users see of it
     * @throws InterruptedException if the thread was interrupted between requests
     */
    List<Map<String, Object>> run(List<Double> rates, int rounds) throws InterruptedException {
        warmUp();
        List<Map<String, Object>> rows = new ArrayList<>();
        for (double rate : rates) {
            Times adapters = new Times();
            Times base = new Times();
            for (int i = 0; i < rounds; ++i) {
                send(adapters, true, rate, i);
                send(base, false, rate, i);
            }
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("requests_per_second", rate);
            row.putAll(adapters.report(load, rounds));
            row.put("base", base.report(load, rounds));
            rows.add(row);
        }
        return rows;
    }

    /* Loads the adapters and compiles the code, all requests at once. */
    private void warmUp() throws InterruptedException {
        send(new Times(), true, Double.POSITIVE_INFINITY, -1);
    }

    private void send(Times times, boolean withAdapters, double rate, long seed)
            throws InterruptedException {
        SplittableRandom random = new SplittableRandom(seed);
        List<GenerationRequest> requests =
                load.requests(model.shape().vocabulary(), withAdapters, seed);
        Collections.shuffle(requests, new Random(seed));
        EngineRecorder nobody = new EngineRecorder() {};
        try (GenerationEngine engine =
                new GenerationEngine(model.block(), load.engineOptions(nobody))) {
            List<GenerationHandle> handles = new ArrayList<>();
            long start = System.nanoTime();
            double due = 0;
            for (GenerationRequest request : requests) {
                due += -Math.log(1 - random.nextDouble()) / rate;
                long at = start + (long) (due * 1e9);
                long wait = at - System.nanoTime();
                if (wait > 0) {
                    TimeUnit.NANOSECONDS.sleep(wait);
                }
                RequestClock clock = new RequestClock(at);
                GenerationHandle handle = engine.submit(request);
                handle.tokens().subscribe(clock);
                handles.add(handle);
                times.clocks.add(clock);
            }
            handles.forEach(GenerationHandle::join);
            times.seconds += (System.nanoTime() - start) * 1e-9;
        }
    }
}
