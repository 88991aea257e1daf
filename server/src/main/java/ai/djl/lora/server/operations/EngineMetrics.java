/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.generate.engine.EngineRecorder;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** Counts what the engines do together, for each adapter. */
final class EngineMetrics implements EngineRecorder {

    private final MeterRegistry registry;
    private final Tags model;
    private final MetricLabels labels;
    private final Map<String, AdapterMeters> meters = new ConcurrentHashMap<>();

    /**
     * By adapter, those that wait and those that run; the labels of the base model are not here.
     */
    private final Map<String, Presence> present = new ConcurrentHashMap<>();

    EngineMetrics(MeterRegistry registry, Tags model, MetricLabels labels) {
        this.registry = registry;
        this.model = model;
        this.labels = labels;
    }

    /**
     * How many requests for an adapter wait and run. Immutable: engines tell on threads of their
     * own, and the map changes what it has of an adapter in one step.
     */
    private record Presence(int waiting, int running) {

        /** Returns what is left after a change; null for nobody. */
        private Presence changed(int more, int moreRunning) {
            Presence after = new Presence(waiting + more, running + moreRunning);
            return after.waiting == 0 && after.running == 0 ? null : after;
        }
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
                    if (presence.running > 0) {
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
                    if (presence.waiting > 0) {
                        names.add(name);
                    }
                });
        return names;
    }

    /** {@inheritDoc} */
    @Override
    public void arrived(String adapter) {
        if (!adapter.isEmpty()) {
            present.merge(adapter, new Presence(1, 0), (before, one) -> before.changed(1, 0));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void scheduled(String adapter, long queuedNanos) {
        meters(adapter).queue.record(queuedNanos, TimeUnit.NANOSECONDS);
        present.computeIfPresent(adapter, (name, before) -> before.changed(-1, 1));
    }

    /** {@inheritDoc} */
    @Override
    public void ended(String adapter, boolean scheduled) {
        present.computeIfPresent(
                adapter,
                (name, before) -> scheduled ? before.changed(0, -1) : before.changed(-1, 0));
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
}
