/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Counts what the engine does, for each adapter. */
final class EngineMetrics implements EngineRecorder {

    private final MeterRegistry registry;
    private final Tags model;
    private final MetricLabels labels;
    private final Timer steps;
    private final Map<String, AdapterMeters> meters = new ConcurrentHashMap<>();

    /**
     * By adapter, those that wait and those that run; the labels of the base model are not here.
     */
    private final Map<String, Presence> present = new ConcurrentHashMap<>();

    EngineMetrics(MeterRegistry registry, Tags model, MetricLabels labels) {
        this.registry = registry;
        this.model = model;
        this.labels = labels;
        steps =
                Timer.builder("engine.step.duration")
                        .description("How long a step of the engine takes")
                        .tags(model)
                        .register(registry);
    }

    /** How many requests for an adapter wait and run. */
    private static final class Presence {

        private final AtomicInteger waiting = new AtomicInteger();
        private final AtomicInteger running = new AtomicInteger();
    }

    /** The meters of an adapter. */
    private record AdapterMeters(
            Timer latency,
            Timer firstToken,
            Timer queue,
            Counter prompt,
            Counter cached,
            Counter generated,
            Counter failures) {}

    private AdapterMeters meters(String adapter) {
        return meters.computeIfAbsent(labels.of(adapter), this::newMeters);
    }

    private AdapterMeters newMeters(String label) {
        Tags tags = model.and("adapter", label);
        return new AdapterMeters(
                timer("inference.latency", "From a request's arrival to its last token", tags),
                timer("inference.first.token", "From a request's arrival to its first token", tags),
                timer("inference.queue", "From a request's arrival to its first step", tags),
                tokens("prompt", tags),
                tokens("cached", tags),
                tokens("generated", tags),
                Counter.builder("inference.failures")
                        .description("Requests that the engine ended without an answer")
                        .tags(tags)
                        .register(registry));
    }

    private Timer timer(String name, String description, Tags tags) {
        return Timer.builder(name)
                .description(description)
                .tags(tags)
                .serviceLevelObjectives(LatencyBuckets.LIMITS)
                .register(registry);
    }

    private Counter tokens(String kind, Tags tags) {
        return Counter.builder("tokens.processed")
                .description(
                        "Tokens: of prompts, of those the ones that lay in memory already, and of"
                                + " answers")
                .tags(tags.and("kind", kind))
                .register(registry);
    }

    /** Forgets the meters of an adapter that is no more. */
    void forget(String adapter) {
        AdapterMeters gone = meters.remove(adapter);
        if (gone != null) {
            for (var meter :
                    Set.of(
                            gone.latency,
                            gone.firstToken,
                            gone.queue,
                            gone.prompt,
                            gone.cached,
                            gone.generated,
                            gone.failures)) {
                registry.remove(meter);
            }
        }
        labels.forget(adapter);
    }

    /** Returns the adapters for which requests run. */
    Set<String> running() {
        Set<String> names = new TreeSet<>();
        present.forEach(
                (name, presence) -> {
                    if (presence.running.get() > 0) {
                        names.add(name);
                    }
                });
        return names;
    }

    /** Returns the adapters for which requests wait. */
    Set<String> waiting() {
        Set<String> names = new TreeSet<>();
        present.forEach(
                (name, presence) -> {
                    if (presence.waiting.get() > 0) {
                        names.add(name);
                    }
                });
        return names;
    }

    /** {@inheritDoc} */
    @Override
    public void arrived(String adapter) {
        if (!adapter.isEmpty()) {
            present.computeIfAbsent(adapter, name -> new Presence()).waiting.incrementAndGet();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void scheduled(String adapter, long queuedNanos) {
        meters(adapter).queue.record(queuedNanos, TimeUnit.NANOSECONDS);
        Presence presence = present.get(adapter);
        if (presence != null) {
            presence.waiting.decrementAndGet();
            presence.running.incrementAndGet();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void ended(String adapter, boolean scheduled) {
        Presence presence = present.get(adapter);
        if (presence == null) {
            return;
        }
        if (scheduled) {
            presence.running.decrementAndGet();
        } else {
            presence.waiting.decrementAndGet();
        }
        // all of this happens on the engine's thread
        if (presence.running.get() == 0 && presence.waiting.get() == 0) {
            present.remove(adapter);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void firstToken(String adapter, long nanos) {
        meters(adapter).firstToken.record(nanos, TimeUnit.NANOSECONDS);
    }

    /** {@inheritDoc} */
    @Override
    public void finished(
            String adapter, int promptTokens, int cachedTokens, int newTokens, long nanos) {
        AdapterMeters to = meters(adapter);
        to.latency.record(nanos, TimeUnit.NANOSECONDS);
        to.prompt.increment(promptTokens);
        to.cached.increment(cachedTokens);
        to.generated.increment(newTokens);
    }

    /** {@inheritDoc} */
    @Override
    public void failed(String adapter, Throwable reason) {
        meters(adapter).failures.increment();
    }

    /** {@inheritDoc} */
    @Override
    public void step(EngineStatistics statistics, long nanos) {
        steps.record(nanos, TimeUnit.NANOSECONDS);
    }
}
