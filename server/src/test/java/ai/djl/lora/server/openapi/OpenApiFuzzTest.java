/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openapi;

import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * Sends what the OpenAPI document describes, right and wrong, to the server that serves it: each
 * answer must be one that the document tells of, none may be a failure of the server, and nothing
 * may be left behind.
 *
 * <p>The seed is that of {@code -Ddjl.lora.seed}, 1 by default; {@code -Ddjl.lora.tries} says how
 * many requests each operation gets.
 */
public class OpenApiFuzzTest {

    private static final Logger logger = LoggerFactory.getLogger(OpenApiFuzzTest.class);
    private static final int TRIES = Integer.getInteger("djl.lora.tries", 25);
    private static final long SEED = Long.getLong("djl.lora.seed", 1);

    private final Map<String, Integer> statuses = new TreeMap<>();
    private DemoServer demo;
    private JsonObject document;
    private JsonFuzzer fuzzer;
    private SplittableRandom random;

    @BeforeClass
    public void start() throws Exception {
        String folder = DemoServer.FOLDER.toAbsolutePath().normalize().toString();
        demo =
                new DemoServer(
                        builder ->
                                builder.optAdapterSources(
                                        SourceOptions.builder()
                                                .optPolicy(SourcePolicy.of(List.of(folder)))
                                                .build()));
        HttpResponse<String> answer = demo.send("GET", "/openapi.json");
        Assert.assertEquals(answer.statusCode(), 200);
        document = JsonParser.parseString(answer.body()).getAsJsonObject();
        JsonArray sources = new JsonArray();
        for (String name : List.of("upper", "rot13", "base", "nothing")) {
            sources.add(folder + "/" + name);
        }
        addSources(document, sources);
        random = new SplittableRandom(SEED);
        fuzzer = new JsonFuzzer(document, random);
    }

    /** Names adapters that are there wherever a source is asked for. */
    private static void addSources(JsonElement element, JsonArray sources) {
        if (element.isJsonArray()) {
            element.getAsJsonArray().forEach(each -> addSources(each, sources));
        } else if (element.isJsonObject()) {
            JsonObject object = element.getAsJsonObject();
            for (String name : List.of("source", "lora_path")) {
                if (object.has(name) && object.get(name).isJsonObject()) {
                    object.getAsJsonObject(name).add("examples", sources);
                }
            }
            if (object.has("in") && "src".equals(object.get("name").getAsString())) {
                object.getAsJsonObject("schema").add("examples", sources);
            }
            object.entrySet().forEach(entry -> addSources(entry.getValue(), sources));
        }
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    @Test
    public void testEveryRouteIsDescribed() {
        Set<String> described = new TreeSet<>();
        for (var path : document.getAsJsonObject("paths").entrySet()) {
            for (String method : path.getValue().getAsJsonObject().keySet()) {
                described.add(path.getKey() + " " + method.toUpperCase(Locale.ROOT));
            }
        }
        Set<String> routes = new TreeSet<>();
        demo.server().routes().forEach(route -> routes.add(route.path() + " " + route.method()));
        Assert.assertEquals(described, routes);
    }

    @Test
    public void testEveryOperation() throws Exception {
        int threads = 0;
        for (int round = 0; round < TRIES; ++round) {
            for (var path : document.getAsJsonObject("paths").entrySet()) {
                for (var operation : path.getValue().getAsJsonObject().entrySet()) {
                    send(
                            operation.getKey().toUpperCase(Locale.ROOT),
                            path.getKey(),
                            operation.getValue().getAsJsonObject());
                }
            }
            if (round == TRIES / 2) {
                threads = Thread.activeCount();
            }
        }
        logger.info("answers: {}", statuses);
        for (String good :
                List.of(
                        "POST /v1/completions 200",
                        "GET /v1/models/{id} 200",
                        "POST /adapters 201",
                        "DELETE /adapters/{id} 200")) {
            Assert.assertTrue(statuses.getOrDefault(good, 0) > 0, "answers: " + statuses);
        }
        awaitIdle();
        // workers of pools come and go by a few; a thread kept for each request would be hundreds
        Assert.assertTrue(
                Thread.activeCount() <= threads + 8,
                "threads: " + threads + ", then " + Thread.activeCount());
        // after all of that it still answers
        HttpResponse<String> live =
                demo.post(
                        "/v1/completions",
                        "{'model':'demo','prompt':'hello=','max_tokens':16,'temperature':0}");
        Assert.assertEquals(live.statusCode(), 200, live.body());
    }

    private void awaitIdle() throws InterruptedException {
        for (int i = 0; i < 300; ++i) {
            EngineStatistics engine = demo.server().model().engine().statistics();
            if (engine.running() == 0 && engine.waiting() == 0 && engine.usedKvBlocks() == 0) {
                return;
            }
            Thread.sleep(100);
        }
        Assert.fail("the engine is not idle: " + demo.server().model().engine().statistics());
    }

    private void send(String method, String path, JsonObject operation) throws Exception {
        StringBuilder query = new StringBuilder();
        String target = path;
        HttpRequest.Builder request = HttpRequest.newBuilder();
        JsonArray parameters = operation.getAsJsonArray("parameters");
        for (JsonElement each : parameters == null ? new JsonArray() : parameters) {
            JsonObject parameter = fuzzer.resolve(each.getAsJsonObject());
            String name = parameter.get("name").getAsString();
            String in = parameter.get("in").getAsString();
            String value = fuzzer.text(parameter.getAsJsonObject("schema"));
            boolean needed = parameter.has("required") && parameter.get("required").getAsBoolean();
            if ("path".equals(in)) {
                target = target.replace("{" + name + "}", encode(value.isEmpty() ? "x" : value));
            } else if ("query".equals(in) && (needed || random.nextInt(3) == 0)) {
                query.append(query.isEmpty() ? '?' : '&').append(name).append('=');
                query.append(encode(value));
            } else if ("header".equals(in) && random.nextInt(4) == 0 && isHeader(value)) {
                request.header(name, value);
            }
        }
        String type = content(request, method, operation);
        request.uri(URI.create(demo.server().uri() + target + query));
        String sent = method + " " + target + query + " " + type;
        HttpResponse<String> answer = demo.send(request);
        statuses.merge(method + " " + path + " " + answer.statusCode(), 1, Integer::sum);
        check(sent, operation, answer);
    }

    private String content(HttpRequest.Builder request, String method, JsonObject operation) {
        if (!operation.has("requestBody")) {
            request.method(method, HttpRequest.BodyPublishers.noBody());
            return "";
        }
        JsonObject contents =
                fuzzer.resolve(operation.getAsJsonObject("requestBody")).getAsJsonObject("content");
        List<String> types = new ArrayList<>(contents.keySet());
        String type = types.get(random.nextInt(types.size()));
        JsonObject schema = contents.getAsJsonObject(type).getAsJsonObject("schema");
        String body = type.endsWith("json") ? fuzzer.value(schema).toString() : fuzzer.text(schema);
        int damage = random.nextInt(20);
        if (damage == 0) {
            body = body.substring(0, body.length() / 2);
        } else if (damage == 1) {
            body = "{\"a\":1,\"a\":2" + body;
        }
        request.header("Content-Type", damage == 2 ? "text/html" : type);
        request.method(method, HttpRequest.BodyPublishers.ofString(body));
        return type + " " + (body.length() > 2000 ? body.substring(0, 2000) + "..." : body);
    }

    private static boolean isHeader(String value) {
        return !value.isBlank() && value.chars().allMatch(c -> c >= ' ' && c < 127);
    }

    private static String encode(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private void check(String sent, JsonObject operation, HttpResponse<String> answer) {
        String status = String.valueOf(answer.statusCode());
        String shown = sent + " -> " + status + " " + answer.body();
        JsonObject responses = operation.getAsJsonObject("responses");
        Assert.assertTrue(answer.statusCode() < 500, shown);
        Assert.assertTrue(
                responses.has(status) || responses.has("4XX") && status.startsWith("4"),
                "not described: " + shown);
        JsonObject response =
                fuzzer.resolve(responses.getAsJsonObject(responses.has(status) ? status : "4XX"));
        if (!response.has("content")) {
            return;
        }
        String type =
                answer.headers().firstValue("Content-Type").orElse("").split(";", 2)[0].trim();
        JsonObject described = response.getAsJsonObject("content").getAsJsonObject(type);
        Assert.assertNotNull(described, "type " + type + " is not described: " + shown);
        if (type.equals("application/json") && described.has("schema")) {
            checkSchema(described.getAsJsonObject("schema"), answer.body(), shown);
        }
    }

    private void checkSchema(JsonObject schema, String body, String shown) {
        try {
            JsonParser.parseString(body);
        } catch (JsonParseException e) {
            Assert.fail("no JSON: " + shown, e);
        }
        JsonObject whole = schema.deepCopy();
        whole.add("components", document.get("components"));
        JsonSchema compiled =
                JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
                        .getSchema(whole.toString());
        Set<ValidationMessage> problems =
                compiled.validate(body, com.networknt.schema.InputFormat.JSON);
        Assert.assertTrue(problems.isEmpty(), problems + ": " + shown);
    }
}
