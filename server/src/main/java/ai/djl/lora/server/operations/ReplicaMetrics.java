/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.server.replica.EngineReplica;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/** Measures how one replica stands, and counts its steps and the requests that it is given. */
final class ReplicaMetrics implements EngineRecorder {

    private final MeterRegistry registry;
    private final Tags tags;
    private final EngineReplica replica;
    private final MetricLabels labels;
    private final Timer steps;
    private final Map<String, Counter> requests = new ConcurrentHashMap<>();

    ReplicaMetrics(MeterRegistry registry, Tags model, EngineReplica replica, MetricLabels labels) {
        this.registry = registry;
        this.replica = replica;
        this.labels = labels;
        tags = model.and("replica", String.valueOf(replica.index()));
        steps =
                Timer.builder("engine.step.duration")
                        .description("How long a step of the engine takes")
                        .tags(tags)
                        .register(registry);
    }

    void bind() {
        Gauge.builder("engine.ready", replica, of -> of.isReady() ? 1 : 0)
                .description("Whether the engine takes requests")
                .tags(tags)
                .strongReference(true)
                .register(registry);
        gauge("engine.requests.running", "Requests that run", EngineStatistics::running);
        gauge(
                "engine.requests.waiting",
                "Requests that wait, for their turn or their adapter",
                EngineStatistics::waiting);
        gauge(
                "engine.requests.waiting.for.adapter",
                "Of these, those whose adapter is on its way",
                EngineStatistics::waitingForAdapters);
        gauge("engine.kv.blocks", "Blocks for keys and values", EngineStatistics::kvBlocks);
        gauge("engine.kv.blocks.used", "Blocks that requests use", EngineStatistics::usedKvBlocks);
        gauge(
                "engine.kv.blocks.cached",
                "Blocks that are kept and that nobody uses",
                EngineStatistics::cachedKvBlocks);
        count("engine.steps", "Steps", EngineStatistics::steps);
        count(
                "engine.preemptions",
                "How often a request lost its place and was run again",
                EngineStatistics::preemptions);
        count("engine.tokens.drafted", "Tokens that were drafted", EngineStatistics::draftedTokens);
        count("engine.tokens.met", "Of these, those that were right", EngineStatistics::metTokens);
    }

    private void gauge(String name, String description, ToDoubleFunction<EngineStatistics> value) {
        Gauge.builder(name, replica, of -> value.applyAsDouble(of.statistics()))
                .description(description)
                .tags(tags)
                .strongReference(true)
                .register(registry);
    }

    private void count(String name, String description, ToDoubleFunction<EngineStatistics> value) {
        FunctionCounter.builder(name, replica, of -> value.applyAsDouble(of.statistics()))
                .description(description)
                .tags(tags)
                .register(registry);
    }

    /** Forgets the meter of an adapter that is no more. */
    void forget(String adapter) {
        Counter gone = requests.remove(adapter);
        if (gone != null) {
            registry.remove(gone);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void arrived(String adapter) {
        requests.computeIfAbsent(labels.of(adapter), this::newCounter).increment();
    }

    private Counter newCounter(String label) {
        return Counter.builder("engine.requests")
                .description("Requests that the engine was given")
                .tags(tags.and("adapter", label))
                .register(registry);
    }

    /** {@inheritDoc} */
    @Override
    public void step(EngineStatistics statistics, long nanos) {
        steps.record(nanos, TimeUnit.NANOSECONDS);
    }
}
