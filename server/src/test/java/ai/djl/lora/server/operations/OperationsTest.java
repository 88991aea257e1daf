/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.RequestOutcome;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.translate.TextRequest;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Tests what a server tells of itself. */
public class OperationsTest {

    /** A sample of the exposition format: a name, labels and a value. */
    private static final Pattern SAMPLE =
            Pattern.compile(
                    "([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\]|\\\\.)*\""
                            + "(?:,[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\]|\\\\.)*\")*,?})?"
                            + " (-?[0-9.eE+-]+|NaN|[+-]Inf)");

    private final SimpleMeterRegistry application = new SimpleMeterRegistry();
    private final InMemorySpanExporter spans = InMemorySpanExporter.create();
    private DemoServer demo;
    private Path recorded;

    @BeforeClass
    public void start() throws Exception {
        OpenTelemetrySdk telemetry =
                OpenTelemetrySdk.builder()
                        .setTracerProvider(
                                SdkTracerProvider.builder()
                                        .addSpanProcessor(SimpleSpanProcessor.create(spans))
                                        .build())
                        .setPropagators(
                                ContextPropagators.create(W3CTraceContextPropagator.getInstance()))
                        .build();
        recorded = Files.createTempFile("djl-lora-", ".jfr");
        try (Recording recording = new Recording()) {
            for (String event :
                    List.of("AdapterLoad", "AdapterEvict", "AdapterSwap", "EngineStep")) {
                recording.enable("ai.djl.lora." + event);
            }
            recording.start();
            demo =
                    new DemoServer(
                            builder ->
                                    builder.optMeterRegistry(application)
                                            .optOpenTelemetry(telemetry)
                                            .addRoute(route("/upper"))
                                            .addRoute(route("/traced")));
            for (int i = 0; i < 3; ++i) {
                Assert.assertEquals(demo.send("POST", "/upper").body(), "HELLO");
            }
            var store = demo.server().model().adapters();
            store.replace("upper", DemoServer.FOLDER.resolve("reverse"));
            store.offload("reverse");
            recording.stop();
            recording.dump(recorded);
        }
    }

    private Route route(String path) {
        return Route.of(
                Method.POST,
                path,
                Permission.INFER,
                request ->
                        demo.server()
                                .model()
                                .text()
                                .begin(new TextRequest("hello=", "upper"))
                                .result()
                                .thenApply(result -> answer(result.text())));
    }

    private static Response answer(String text) {
        return Response.text(200, "text/plain", text)
                .with(RequestOutcome.ADAPTER, "upper")
                .with(RequestOutcome.REVISION, "r1");
    }

    @AfterClass(alwaysRun = true)
    public void stop() throws Exception {
        if (demo != null) {
            demo.close();
        }
        Files.deleteIfExists(recorded);
    }

    @Test
    public void testPrometheus() throws Exception {
        demo.server()
                .adapters()
                .placement()
                .prefetch("upper")
                .toCompletableFuture()
                .get(60, TimeUnit.SECONDS);
        HttpResponse<String> answer = demo.send("GET", "/metrics/prometheus");
        Assert.assertEquals(
                answer.headers().firstValue("Content-Type").orElse(""),
                "text/plain; version=0.0.4; charset=utf-8");
        Set<String> names = new TreeSet<>();
        for (String line : answer.body().split("\n")) {
            if (!line.startsWith("# HELP ") && !line.startsWith("# TYPE ")) {
                Matcher sample = SAMPLE.matcher(line);
                Assert.assertTrue(sample.matches(), line);
                names.add(sample.group(1));
            }
        }
        for (String name :
                List.of(
                        "model_requests_total",
                        "model_request_duration_seconds_count",
                        "model_request_duration_seconds_bucket",
                        "active_adapters_count",
                        "memory_usage_bytes",
                        "inference_latency_seconds_sum",
                        "tokens_processed_total",
                        "adapter_tier_hits_total",
                        "adapter_tier_evictions_total",
                        "engine_steps_total",
                        "vllm:lora_requests_info",
                        "vllm:num_requests_waiting",
                        "vllm:num_requests_running",
                        "vllm:kv_cache_usage_perc",
                        "vllm:lora_adapter_loaded",
                        "vllm:num_gpu_loaded_lora_adapters",
                        "vllm:max_gpu_lora_adapters")) {
            Assert.assertTrue(names.contains(name), name + " is not among " + names);
        }
        String text = answer.body();
        Assert.assertTrue(
                text.contains(
                        "model_requests_total{adapter=\"upper\",model=\"demo\",route=\"/upper\","
                                + "status=\"200\"} 3.0\n"),
                text);
        Assert.assertTrue(
                text.contains(
                        "tokens_processed_total{adapter=\"upper\",kind=\"generated\","
                                + "model=\"demo\"} "),
                text);
        Assert.assertTrue(
                text.contains(
                        "vllm:lora_requests_info{max_lora=\"100\",running_lora_adapters=\"\","
                                + "waiting_lora_adapters=\"\"} "),
                text);
        Assert.assertTrue(
                text.contains(
                        "vllm:lora_adapter_loaded{adapter_name=\"upper\",level=\"gpu\","
                                + "pinned=\"false\"} 1.0\n"),
                text);
        Assert.assertTrue(
                text.contains("vllm:max_gpu_lora_adapters{model_name=\"demo\"} 100.0\n"), text);
    }

    @Test
    public void testPing() throws Exception {
        HttpResponse<String> answer = demo.send("GET", "/ping");
        Assert.assertEquals(answer.statusCode(), 200);
        Assert.assertEquals(answer.body(), "");
        for (ServerState state : List.of(ServerState.STARTING, ServerState.ENDING)) {
            Route ping =
                    new HealthRoutes(() -> state, demo.server().model(), null)
                            .routes().stream()
                                    .filter(each -> "/ping".equals(each.path().toString()))
                                    .findFirst()
                                    .orElseThrow();
            HttpFailure refusal =
                    Assert.expectThrows(HttpFailure.class, () -> ping.handler().handle(null));
            Assert.assertEquals(refusal.status(), 503);
        }
    }

    @Test
    public void testMetricsForWhoeverAsks() throws Exception {
        JsonObject json =
                JsonParser.parseString(demo.send("GET", "/metrics").body()).getAsJsonObject();
        JsonObject requests =
                json.getAsJsonArray("model_requests").asList().stream()
                        .map(each -> each.getAsJsonObject())
                        .filter(each -> "/upper".equals(each.get("route").getAsString()))
                        .findFirst()
                        .orElseThrow();
        Assert.assertEquals(requests.get("count").getAsDouble(), 3.0);
        String collected =
                demo.send(
                                HttpRequest.newBuilder(demo.uri("/metrics"))
                                        .header("Accept", "text/plain"))
                        .body();
        Assert.assertTrue(collected.contains("# TYPE model_requests_total counter"), collected);
    }

    @Test
    public void testApplicationsRegistry() {
        Assert.assertEquals(
                application
                        .get("model.requests")
                        .tag("route", "/upper")
                        .tag("adapter", "upper")
                        .counter()
                        .count(),
                3.0);
    }

    @Test
    public void testHealthAndInfo() throws Exception {
        JsonObject health =
                JsonParser.parseString(demo.send("GET", "/health").body()).getAsJsonObject();
        Assert.assertEquals(health.get("status").getAsString(), "healthy");
        Assert.assertEquals(health.getAsJsonObject("adapters").get("registered").getAsInt(), 2);
        Assert.assertTrue(health.getAsJsonObject("memory").has("heapBytes"), health.toString());
        JsonObject requests = health.getAsJsonObject("requests");
        Assert.assertEquals(requests.get("answers").getAsInt(), 3);
        Assert.assertTrue(requests.get("p99Millis").getAsDouble() > 0, requests.toString());
        HttpResponse<String> told = demo.send("GET", "/info");
        JsonObject info = JsonParser.parseString(told.body()).getAsJsonObject();
        Assert.assertEquals(info.getAsJsonObject("model").get("name").getAsString(), "demo");
        Assert.assertEquals(info.getAsJsonObject("limits").get("bodyBytes").getAsInt(), 8_388_608);
        Assert.assertFalse(
                told.body().contains(System.getProperty("user.dir")), "paths: " + told.body());
    }

    @Test
    public void testSpans() throws Exception {
        spans.reset();
        String trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        demo.send(
                HttpRequest.newBuilder(demo.uri("/traced"))
                        .header("traceparent", "00-" + trace + "-00f067aa0ba902b7-01")
                        .POST(HttpRequest.BodyPublishers.noBody()));
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (names(spans.getFinishedSpanItems()).size() < 2 && System.nanoTime() < end) {
            Thread.sleep(10);
        }
        List<SpanData> finished = spans.getFinishedSpanItems();
        Assert.assertTrue(names(finished).contains("engine step"), names(finished).toString());
        SpanData request =
                finished.stream()
                        .filter(span -> "POST /traced".equals(span.getName()))
                        .findFirst()
                        .orElseThrow();
        Assert.assertEquals(request.getTraceId(), trace);
        Assert.assertEquals(request.getParentSpanId(), "00f067aa0ba902b7");
        Assert.assertEquals(
                request.getAttributes().get(AttributeKey.stringKey("djl_lora.adapter")), "upper");
    }

    private static Set<String> names(List<SpanData> data) {
        return data.stream().map(SpanData::getName).collect(Collectors.toSet());
    }

    @Test
    public void testRecording() throws Exception {
        List<RecordedEvent> events = RecordingFile.readAllEvents(recorded);
        Set<String> kinds =
                events.stream()
                        .map(event -> event.getEventType().getName())
                        .collect(Collectors.toSet());
        Assert.assertTrue(
                kinds.containsAll(
                        Set.of(
                                "ai.djl.lora.AdapterEvict",
                                "ai.djl.lora.AdapterSwap",
                                "ai.djl.lora.EngineStep")),
                kinds.toString());
        RecordedEvent swap =
                events.stream()
                        .filter(e -> e.getEventType().getName().endsWith("AdapterSwap"))
                        .findFirst()
                        .orElseThrow();
        Assert.assertEquals(swap.getString("adapter"), "upper");
        Assert.assertNotEquals(swap.getString("before"), swap.getString("after"));
    }

    @Test
    public void testLabelsAreBounded() {
        MetricLabels labels = new MetricLabels(2, name -> !"made-up".equals(name));
        Assert.assertEquals(labels.of("made-up"), "other");
        Assert.assertEquals(labels.of(""), "base");
        Assert.assertEquals(labels.of("a"), "a");
        Assert.assertEquals(labels.of("b"), "b");
        Assert.assertEquals(labels.of("c"), "other");
        Assert.assertEquals(labels.of("a"), "a");
        labels.forget("a");
        Assert.assertEquals(labels.of("c"), "c");
        Assert.assertEquals(VllmMetrics.escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
