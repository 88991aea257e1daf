/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.EvictionCause;
import ai.djl.lora.cache.TierStatistics;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemorySample;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.OffloadStatistics;
import ai.djl.lora.server.model.ServedModel;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** Measures how the tiers of adapters and the memory stand when somebody looks. */
final class StateMetrics {

    private static final String MEMORY = "memory.usage.bytes";
    private static final String MEMORY_HELP =
            "Memory in bytes: limited is what counts against the process' limit, and the other areas"
                    + " are parts of what the process has";

    private final MeterRegistry registry;
    private final Tags tags;
    private final ServedModel model;

    StateMetrics(MeterRegistry registry, Tags tags, ServedModel model) {
        this.registry = registry;
        this.tags = tags;
        this.model = model;
    }

    void bind() {
        AdapterStore store = model.adapters();
        gauge(
                "active.adapters.count",
                "Adapters on the device",
                tags,
                store,
                s -> device(s).adapters());
        gauge(
                "registered.adapters.count",
                "Adapters that are registered",
                tags,
                store,
                s -> s.statistics().adapters());
        bindTier("device", StateMetrics::device);
        if (store.statistics().host().isPresent()) {
            bindTier("host", s -> s.statistics().host().orElseThrow());
        }
        count(
                "adapter.prefetches",
                "Adapters that were loaded before anybody had asked",
                tags,
                store,
                s -> s.statistics().prefetches());
        count(
                "adapter.prefetches.used",
                "Of these, those that were asked for then",
                tags,
                store,
                s -> s.statistics().prefetchesUsed());
        bindMemory();
        bindOffload();
    }

    private static TierStatistics device(AdapterStore store) {
        return store.statistics().device();
    }

    private <T> void gauge(
            String name, String description, Tags with, T of, ToDoubleFunction<T> value) {
        Gauge.builder(name, of, value)
                .description(description)
                .tags(with)
                .strongReference(true)
                .register(registry);
    }

    private <T> void count(
            String name, String description, Tags with, T of, ToDoubleFunction<T> value) {
        FunctionCounter.builder(name, of, value)
                .description(description)
                .tags(with)
                .register(registry);
    }

    private void bindTier(String tier, Function<AdapterStore, TierStatistics> of) {
        AdapterStore store = model.adapters();
        Tags with = tags.and("tier", tier);
        gauge(
                "adapter.tier.adapters",
                "Adapters in the tier",
                with,
                store,
                s -> of.apply(s).adapters());
        gauge("adapter.tier.used.bytes", "What they take", with, store, s -> of.apply(s).bytes());
        gauge(
                "adapter.tier.limit.bytes",
                "What the tier may hold",
                with,
                store,
                s -> of.apply(s).limits().bytes());
        count(
                "adapter.tier.hits",
                "How often an adapter was there that was asked for",
                with,
                store,
                s -> of.apply(s).hits());
        count(
                "adapter.tier.misses",
                "How often it was not",
                with,
                store,
                s -> of.apply(s).misses());
        count(
                "adapter.tier.loads",
                "Adapters that were brought into the tier",
                with,
                store,
                s -> of.apply(s).loads());
        gauge(
                "adapter.tier.load.mean.seconds",
                "The mean time that took",
                with,
                store,
                s -> of.apply(s).loadTime().toNanos() / 1e9);
        for (EvictionCause cause : EvictionCause.values()) {
            count(
                    "adapter.tier.evictions",
                    "Adapters that have left, by cause",
                    with.and("cause", cause.name().toLowerCase(Locale.ROOT)),
                    store,
                    s -> of.apply(s).evictions().getOrDefault(cause, 0L));
        }
    }

    private void bindMemory() {
        memory("limited", sample -> sample.memory().used());
        Runtime runtime = Runtime.getRuntime();
        gauge(
                MEMORY,
                MEMORY_HELP,
                tags.and("area", "heap"),
                runtime,
                of -> of.totalMemory() - of.freeMemory());
        memory("resident", sample -> sample.residentSet().orElse(0));
        if (hasDevice()) {
            device("device", sample -> sample.memory().used());
        }
        for (String consumer :
                List.of(
                        MemoryMonitor.MODEL_WEIGHTS,
                        MemoryMonitor.KV_CACHE,
                        MemoryMonitor.ACTIVATIONS)) {
            String area = consumer.toLowerCase(Locale.ROOT).replace(' ', '_');
            ToDoubleFunction<MemorySample> taken =
                    sample -> sample.consumers().getOrDefault(consumer, 0L);
            if (hasDevice()) {
                device(area, taken);
            } else {
                memory(area, taken);
            }
        }
        gauge(
                "memory.limit.bytes",
                "What the process may use",
                tags,
                model.adapters(),
                store -> value(sample(store), s -> s.memory().limit()));
        if (hasDevice()) {
            gauge(
                    "memory.device.limit.bytes",
                    "What the GPU that the model lies on has",
                    tags,
                    model.adapters(),
                    store -> value(deviceSample(store), s -> s.memory().limit()));
        }
    }

    private void bindOffload() {
        CausalLanguageModel block = model.block();
        if (block.getOffloadStatistics().isEmpty()) {
            return;
        }
        gauge(
                "offloaded.layers.count",
                "The model's layers that lie in the host's memory",
                tags,
                block,
                b -> offload(b, OffloadStatistics::offloaded));
        gauge(
                "offloaded.layers.bytes",
                "What they take there",
                tags,
                block,
                b -> offload(b, OffloadStatistics::hostBytes));
        count(
                "offloaded.layers.streamed.bytes",
                "Bytes of layers that were brought to the GPU for steps",
                tags,
                block,
                b -> offload(b, OffloadStatistics::streamedBytes));
    }

    private static double offload(
            CausalLanguageModel block, ToDoubleFunction<OffloadStatistics> value) {
        return block.getOffloadStatistics().map(value::applyAsDouble).orElse(Double.NaN);
    }

    private boolean hasDevice() {
        return model.adapters().getDeviceMemory().isPresent();
    }

    private void memory(String area, ToDoubleFunction<MemorySample> value) {
        gauge(
                MEMORY,
                MEMORY_HELP,
                tags.and("area", area),
                model.adapters(),
                store -> value(sample(store), value));
    }

    private void device(String area, ToDoubleFunction<MemorySample> value) {
        gauge(
                MEMORY,
                MEMORY_HELP,
                tags.and("area", area),
                model.adapters(),
                store -> value(deviceSample(store), value));
    }

    private static double value(
            Optional<MemorySample> sample, ToDoubleFunction<MemorySample> value) {
        return sample.map(value::applyAsDouble).orElse(Double.NaN);
    }

    private static Optional<MemorySample> deviceSample(AdapterStore store) {
        return store.getDeviceMemoryMonitor().flatMap(MemoryMonitor::latest);
    }

    private static Optional<MemorySample> sample(AdapterStore store) {
        return store.getMemoryMonitor().flatMap(MemoryMonitor::latest);
    }
}
