/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.RequestOutcome;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;

/** Counts the requests of clients and how long they took. */
final class RequestMetrics implements RequestObserver {

    private final MeterRegistry registry;
    private final Tags model;
    private final MetricLabels labels;

    RequestMetrics(MeterRegistry registry, Tags model, MetricLabels labels) {
        this.registry = registry;
        this.model = model;
        this.labels = labels;
    }

    /** {@inheritDoc} */
    @Override
    public void answered(RequestOutcome outcome) {
        if (outcome.route().permission() == Permission.NONE) {
            // probes would hide what clients do
            return;
        }
        Tags tags =
                model.and(
                        "adapter",
                        outcome.header(RequestOutcome.ADAPTER)
                                .map(labels::of)
                                .orElse(MetricLabels.BASE),
                        "route",
                        outcome.route().path().toString());
        Counter.builder("model.requests")
                .description("Requests by route, status and adapter")
                .tags(tags.and("status", Integer.toString(outcome.status())))
                .register(registry)
                .increment();
        Timer.builder("model.request.duration")
                .description("From a request's last byte to its response's last byte")
                .tags(tags)
                .serviceLevelObjectives(LatencyBuckets.LIMITS)
                .register(registry)
                .record(outcome.time());
    }
}
