/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.memory.Registration;
import ai.djl.lora.registry.RegistryListener;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.replica.EngineReplica;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A server's metrics, in a registry of its own and in the application's where it gives one
 * (Micrometer). Those of the application are taken back when the server ends.
 */
public final class ServerMetrics implements AutoCloseable {

    private final PrometheusMeterRegistry own =
            new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final CompositeMeterRegistry all = new CompositeMeterRegistry();
    private final Optional<MeterRegistry> application;
    private final ServedModel model;
    private final RequestMetrics requests;
    private final EngineMetrics engine;
    private final List<ReplicaMetrics> replicas = new ArrayList<>();
    private final VllmMetrics vllm;
    private final List<Registration> engineEvents = new ArrayList<>();
    private final RegistryListener adapters;

    /**
     * Constructs a new {@code ServerMetrics} instance.
     *
     * @param model what is served
     * @param application the application's registry; empty for none
     * @param mostAdapters how many adapters have metrics of their own; the others share one
     */
    public ServerMetrics(ServedModel model, Optional<MeterRegistry> application, int mostAdapters) {
        this.model = model;
        this.application = application;
        all.add(own);
        application.ifPresent(all::add);
        Tags tags = Tags.of("model", model.name());
        MetricLabels labels =
                new MetricLabels(
                        mostAdapters,
                        name -> model.adapters().getRegistry().find(name).isPresent());
        requests = new RequestMetrics(all, tags, labels);
        engine = new EngineMetrics(all, tags, labels);
        new StateMetrics(all, tags, model).bind();
        vllm = new VllmMetrics(model, engine);
        engineEvents.add(model.replicas().addRecorder(engine));
        for (EngineReplica replica : model.replicas().all()) {
            ReplicaMetrics own = new ReplicaMetrics(all, tags, replica, labels);
            own.bind();
            replicas.add(own);
            engineEvents.add(replica.events().add(own));
        }
        adapters =
                event -> {
                    if (event.after().isEmpty()) {
                        engine.forget(event.name());
                        replicas.forEach(replica -> replica.forget(event.name()));
                    }
                };
        model.adapters().getRegistry().addListener(adapters);
    }

    /**
     * Returns what counts requests.
     *
     * @return the observer
     */
    public RequestObserver requests() {
        return requests;
    }

    /**
     * Returns the metrics as Prometheus reads them.
     *
     * @return text in the exposition format 0.0.4
     */
    public String prometheus() {
        return own.scrape() + vllm.text();
    }

    /** Returns the meters, for other forms than Prometheus'. */
    List<Meter> meters() {
        return own.getMeters();
    }

    /** Takes the metrics back. */
    @Override
    public void close() {
        model.adapters().getRegistry().removeListener(adapters);
        engineEvents.forEach(Registration::close);
        List<Meter> meters = List.copyOf(all.getMeters());
        application.ifPresent(registry -> meters.forEach(meter -> registry.remove(meter.getId())));
        all.close();
        own.close();
    }
}
