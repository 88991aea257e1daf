/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.EvictionCause;
import ai.djl.lora.cache.StoreRecorder;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.registry.RegistryEvent;
import ai.djl.lora.registry.RegistryListener;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.Handler;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.RequestOutcome;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/**
 * Makes spans of requests, as children of what their headers name, and of loads, evictions, swaps
 * and steps, which have no parent since they are for many requests. The application's OpenTelemetry
 * says what becomes of them.
 */
public final class Tracing
        implements Filter, RequestObserver, StoreRecorder, RegistryListener, EngineRecorder {

    private static final AttributeKey<String> ADAPTER = AttributeKey.stringKey("djl_lora.adapter");
    private static final AttributeKey<String> REVISION =
            AttributeKey.stringKey("djl_lora.revision");
    private static final AttributeKey<Long> BYTES = AttributeKey.longKey("djl_lora.bytes");

    private static final TextMapGetter<Request> HEADERS =
            new TextMapGetter<>() {
                @Override
                public Iterable<String> keys(Request request) {
                    return request.headers().keySet();
                }

                @Override
                public String get(Request request, String key) {
                    List<String> values =
                            request == null
                                    ? null
                                    : request.headers().get(key.toLowerCase(Locale.ROOT));
                    return values == null ? null : values.get(0);
                }
            };

    private final Tracer tracer;
    private final OpenTelemetry telemetry;

    /** The spans of requests that have been let in and not been answered, by their identity. */
    private final ConcurrentHashMap<Object, Span> open = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code Tracing} instance.
     *
     * @param telemetry the application's
     */
    public Tracing(OpenTelemetry telemetry) {
        this.telemetry = telemetry;
        tracer = telemetry.getTracer("ai.djl.lora.server");
    }

    /** {@inheritDoc} */
    @Override
    public CompletionStage<Response> filter(Request request, Route route, Handler next) {
        Context parent =
                telemetry
                        .getPropagators()
                        .getTextMapPropagator()
                        .extract(Context.current(), request, HEADERS);
        Span span =
                tracer.spanBuilder(route.method() + " " + route.path())
                        .setParent(parent)
                        .setSpanKind(SpanKind.SERVER)
                        .setAttribute("http.request.method", route.method().name())
                        .setAttribute("http.route", route.path().toString())
                        .setAttribute("djl_lora.request", request.id())
                        .startSpan();
        // a request's future is its own, and goes with it through the filters
        open.put(request.gone(), span);
        Scope scope = span.makeCurrent();
        try {
            return next.handle(request);
        } finally {
            scope.close();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void answered(RequestOutcome outcome) {
        Span span = open.remove(outcome.request().gone());
        if (span == null) {
            // it was refused before it came here
            return;
        }
        span.setAttribute("http.response.status_code", outcome.status());
        outcome.header(RequestOutcome.ADAPTER)
                .ifPresent(adapter -> span.setAttribute(ADAPTER, adapter));
        outcome.header(RequestOutcome.REVISION)
                .ifPresent(revision -> span.setAttribute(REVISION, revision));
        if (outcome.status() >= 500 || outcome.end() == RequestOutcome.End.BROKEN) {
            span.setStatus(StatusCode.ERROR);
        }
        span.end();
    }

    private static void endAfter(SpanBuilder builder, long nanos) {
        Instant end = Instant.now();
        Span span = builder.setStartTimestamp(end.minusNanos(nanos)).startSpan();
        span.end(
                TimeUnit.SECONDS.toNanos(end.getEpochSecond()) + end.getNano(),
                TimeUnit.NANOSECONDS);
    }

    private SpanBuilder builder(String name) {
        return tracer.spanBuilder(name).setNoParent();
    }

    /** {@inheritDoc} */
    @Override
    public void loaded(String adapter, String revision, long bytes, long nanos) {
        endAfter(
                builder("adapter load")
                        .setAttribute(ADAPTER, adapter)
                        .setAttribute(REVISION, revision)
                        .setAttribute(BYTES, bytes),
                nanos);
    }

    /** {@inheritDoc} */
    @Override
    public void evicted(String adapter, boolean device, long bytes, EvictionCause cause) {
        endAfter(
                builder("adapter evict")
                        .setAttribute(ADAPTER, adapter)
                        .setAttribute("djl_lora.tier", device ? "device" : "host")
                        .setAttribute("djl_lora.cause", cause.name().toLowerCase(Locale.ROOT))
                        .setAttribute(BYTES, bytes),
                0);
    }

    /** {@inheritDoc} */
    @Override
    public void onChange(RegistryEvent event) {
        if (event.before().isPresent() && event.after().isPresent() && event.isContentChanged()) {
            endAfter(
                    builder("adapter swap")
                            .setAttribute(ADAPTER, event.name())
                            .setAttribute(REVISION, event.after().get().current().hash()),
                    0);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void step(EngineStatistics statistics, long nanos) {
        endAfter(
                builder("engine step")
                        .setAttribute("djl_lora.running", statistics.running())
                        .setAttribute("djl_lora.waiting", statistics.waiting()),
                nanos);
    }
}
