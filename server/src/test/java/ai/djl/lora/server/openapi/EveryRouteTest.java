/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openapi;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.security.AdapterAccess;
import ai.djl.lora.server.security.ApiKey;
import ai.djl.lora.server.security.KeyHash;
import ai.djl.lora.server.security.Role;
import ai.djl.lora.server.security.SecurityOptions;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.networknt.schema.InputFormat;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import java.io.ByteArrayInputStream;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * Sends what is missing, wrong, too much or not allowed to every route that the server has, so that
 * a new route is tested too. Each must be refused with the status that is meant for it, in words
 * that name what is wrong, and no refusal may change an adapter.
 */
public class EveryRouteTest {

    private static final String OPERATOR = KeyHash.newKey();
    private static final String USER = KeyHash.newKey();

    /** A key for another adapter than the one that requests name. */
    private static final String STRANGER = KeyHash.newKey();

    private static final String ADAPTER = "upper";
    private static final int BODY = 16 << 10;
    private static final int UPLOAD = 32 << 10;
    private static final String JSON = "application/json";
    private static final String SOURCE =
            DemoServer.FOLDER.toAbsolutePath().normalize().resolve("rot13").toString();

    /** A right body for each operation that takes JSON, with ' for ". */
    private static final Map<String, String> BODIES =
            Map.ofEntries(
                    Map.entry("POST /v1/completions", "{'prompt':'hello=','max_tokens':1}"),
                    Map.entry(
                            "POST /v1/chat/completions",
                            "{'messages':[{'role':'user','content':'hello='}],'max_tokens':1}"),
                    Map.entry("POST /v1/embeddings", "{'input':'hello='}"),
                    Map.entry("POST /generate", "{'inputs':'hello='}"),
                    Map.entry("POST /generate_stream", "{'inputs':'hello='}"),
                    Map.entry(
                            "POST /invocations",
                            "{'inputs':'hello=','parameters':{'max_new_tokens':1}}"),
                    Map.entry(
                            "POST /predictions/{model}",
                            "{'inputs':'hello=','parameters':{'max_new_tokens':1}}"),
                    Map.entry("POST /adapters", "{'name':'made','source':'" + SOURCE + "'}"),
                    Map.entry("POST /adapters/{id}/hot-swap", "{'source':'" + SOURCE + "'}"),
                    Map.entry("POST /adapters/{id}/alias", "{'alias':'made'}"),
                    Map.entry(
                            "POST /adapters/{id}/canary",
                            "{'share':0.5,'source':'" + SOURCE + "'}"),
                    Map.entry(
                            "POST /v1/load_lora_adapter",
                            "{'lora_name':'made','lora_path':'" + SOURCE + "'}"),
                    Map.entry("POST /v1/unload_lora_adapter", "{'lora_name':'upper'}"),
                    Map.entry(
                            "POST /load_lora_adapter",
                            "{'lora_name':'made','lora_path':'" + SOURCE + "'}"),
                    Map.entry("POST /unload_lora_adapter", "{'lora_name':'upper'}"));

    /** What is right beside what is wrong within a field, with ' for ". */
    private static final Map<String, String> INNER =
            Map.of(
                    "messages", "{'role':'user','content':'hello='}",
                    "lora", "{'id':'upper'}",
                    "golden", "{'prompt':'hello=','expected':'a'}",
                    "response_format", "{'type':'json_schema','json_schema':{'schema':{}}}");

    /** What a value may be instead of what it should be, each of another kind. */
    private static final List<String> KINDS =
            List.of("'nonsense'", "true", "1.5", "{'nonsense':[]}", "[[[]]]");

    private final List<String> problems = new ArrayList<>();
    private DemoServer demo;
    private JsonObject document;
    private JsonFuzzer references;
    private String before;

    @BeforeClass
    public void start() throws Exception {
        ConnectionLimits limits = ConnectionLimits.DEFAULTS;
        SecurityOptions security =
                SecurityOptions.builder()
                        .addKey(ApiKey.of("operator", KeyHash.of(OPERATOR), Role.MANAGE))
                        .addKey(ApiKey.of("user", KeyHash.of(USER), Role.INFER))
                        .addKey(
                                new ApiKey(
                                        "stranger",
                                        KeyHash.of(STRANGER),
                                        Set.of(Role.INFER),
                                        "",
                                        new AdapterAccess(List.of("reverse"), false),
                                        Optional.empty()))
                        .build();
        demo =
                new DemoServer(
                        builder ->
                                builder.optSecurity(security)
                                        .optAdapterSources(
                                                SourceOptions.builder()
                                                        .optPolicy(SourcePolicy.of(List.of(SOURCE)))
                                                        .build())
                                        .optLimits(
                                                new ConnectionLimits(
                                                        limits.connections(),
                                                        limits.headerBytes(),
                                                        BODY,
                                                        UPLOAD,
                                                        limits.headerTime(),
                                                        limits.bodyTime(),
                                                        limits.idleTime(),
                                                        limits.stallTime(),
                                                        limits.queuedRequests())));
        document =
                JsonParser.parseString(demo.send("GET", "/openapi.json").body()).getAsJsonObject();
        references = new JsonFuzzer(document, null);
        before = adapters();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        if (demo != null) {
            demo.close();
        }
    }

    /** Tells all that a test has found, and that what was refused has changed nothing. */
    private void tell() throws Exception {
        List<String> found = List.copyOf(problems);
        problems.clear();
        Assert.assertTrue(found.isEmpty(), String.join("\n", found));
        Assert.assertEquals(adapters(), before, "the adapters after requests that were refused");
    }

    /** Returns what there is of adapters, without what use of them changes. */
    private String adapters() throws Exception {
        StringBuilder all = new StringBuilder();
        for (String path : List.of("/v1/models", "/adapters")) {
            HttpResponse<String> answer = demo.send(request(path).header("X-API-Key", OPERATOR));
            Assert.assertEquals(answer.statusCode(), 200, answer.body());
            JsonObject body = JsonParser.parseString(answer.body()).getAsJsonObject();
            String list = body.has("data") ? "data" : "adapters";
            for (JsonElement each : body.getAsJsonArray(list)) {
                for (String field :
                        List.of("id", "name", "revision", "pin", "aliases", "default", "canary")) {
                    all.append(each.getAsJsonObject().get(field)).append(' ');
                }
            }
        }
        return all.toString();
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(demo.uri(path));
    }

    private List<Route> routes() {
        return demo.server().routes();
    }

    private static String name(Route route) {
        return route.method() + " " + route.path();
    }

    private JsonObject operation(Route route) {
        return document.getAsJsonObject("paths")
                .getAsJsonObject(route.path().toString())
                .getAsJsonObject(route.method().name().toLowerCase(Locale.ROOT));
    }

    /** Returns a path of a route, with what is there in each of its variables. */
    private static String path(Route route, String adapter) {
        String path =
                route.path()
                        .toString()
                        .replace("{id}", adapter)
                        .replace("{alias}", "nobody")
                        .replace("{model}", "demo");
        Assert.assertFalse(path.contains("{"), "what is to stand in " + path + "?");
        return path;
    }

    private static String path(Route route) {
        return path(route, ADAPTER);
    }

    /** Returns the types that a route's content may have; none where it is not looked at. */
    private List<String> types(Route route) {
        JsonObject operation = operation(route);
        return operation.has("requestBody")
                ? List.copyOf(
                        references
                                .resolve(operation.getAsJsonObject("requestBody"))
                                .getAsJsonObject("content")
                                .keySet())
                : List.of();
    }

    private List<Route> taking(String type) {
        return routes().stream().filter(route -> types(route).contains(type)).toList();
    }

    private JsonObject body(Route route) {
        String body = BODIES.get(name(route));
        Assert.assertNotNull(body, "which body is right for " + name(route) + "?");
        return json(body).getAsJsonObject();
    }

    private static JsonElement json(String text) {
        return JsonParser.parseString(text.replace('\'', '"'));
    }

    private HttpResponse<String> sendJson(Route route, String body) throws Exception {
        return send(
                route,
                OPERATOR,
                request(path(route)).header("Content-Type", JSON),
                BodyPublishers.ofString(body));
    }

    private HttpResponse<String> send(
            Route route, String key, HttpRequest.Builder request, BodyPublisher body)
            throws Exception {
        if (key != null) {
            request.header("X-API-Key", key);
        }
        return checked(route, demo.send(request.method(route.method().name(), body)));
    }

    /** Returns an answer of which holds what holds for all. */
    private HttpResponse<String> checked(Route route, HttpResponse<String> answer) {
        if (answer.statusCode() >= 500) {
            problems.add(name(route) + ": " + answer.statusCode() + ' ' + answer.body());
        }
        if (answer.headers().firstValue("X-Request-Id").isEmpty()) {
            problems.add(name(route) + ": no request id with " + answer.statusCode());
        }
        return answer;
    }

    private void expect(int status, String named, Object what, HttpResponse<String> answer) {
        if (answer.statusCode() != status || !answer.body().contains(named)) {
            problems.add(
                    what
                            + ": expected "
                            + status
                            + " naming \""
                            + named
                            + "\", found "
                            + answer.statusCode()
                            + ' '
                            + answer.body());
        }
    }

    /** Sends right content where a route takes some. */
    private HttpResponse<String> sendRight(Route route, String key, JsonObject body, String adapter)
            throws Exception {
        HttpRequest.Builder request = request(path(route, adapter));
        List<String> types = types(route);
        if (types.contains(JSON)) {
            request.header("Content-Type", JSON);
            return send(route, key, request, BodyPublishers.ofString(body.toString()));
        }
        if (!types.isEmpty()) {
            request.header("Content-Type", types.get(0));
        }
        return send(route, key, request, BodyPublishers.noBody());
    }

    private HttpResponse<String> sendRight(Route route, String key) throws Exception {
        JsonObject body = types(route).contains(JSON) ? body(route) : null;
        return sendRight(route, key, body, ADAPTER);
    }

    @Test
    public void testWrongMethod() throws Exception {
        Map<String, Set<String>> taken = new TreeMap<>();
        for (Route route : routes()) {
            Set<String> methods = taken.computeIfAbsent(path(route), path -> new TreeSet<>());
            methods.add(route.method().name());
            if (route.method() == Method.GET) {
                methods.add("HEAD");
            }
        }
        for (var path : taken.entrySet()) {
            for (String method :
                    List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")) {
                if (path.getValue().contains(method)) {
                    continue;
                }
                HttpResponse<String> answer =
                        demo.send(
                                request(path.getKey())
                                        .header("X-API-Key", OPERATOR)
                                        .method(method, BodyPublishers.noBody()));
                String what = method + " " + path.getKey();
                expect(405, "HEAD".equals(method) ? "" : "method_not_allowed", what, answer);
                expect(405, "HEAD".equals(method) ? "" : path.getKey(), what, answer);
                String allow = answer.headers().firstValue("Allow").orElse("");
                if (!Set.of(allow.split(", ")).equals(path.getValue())) {
                    problems.add(what + ": Allow is " + allow + ", not " + path.getValue());
                }
            }
        }
        tell();
    }

    @Test
    public void testNobody() throws Exception {
        for (Route route : routes()) {
            for (String key : new String[] {null, "wrong"}) {
                HttpResponse<String> answer = sendRight(route, key);
                if (route.permission() == Permission.NONE) {
                    expect(200, "", name(route), answer);
                    continue;
                }
                expect(401, "key", name(route), answer);
                if (answer.headers().firstValue("WWW-Authenticate").isEmpty()) {
                    problems.add(name(route) + ": does not say how to authenticate");
                }
            }
        }
        tell();
    }

    @Test
    public void testNoPermission() throws Exception {
        for (Route route : routes()) {
            if (route.permission() == Permission.MANAGE) {
                expect(403, "role manage", name(route), sendRight(route, USER));
            } else if (!path(route).contains("nobody")) {
                // whoever may manage may infer
                expect(200, "", name(route), sendRight(route, OPERATOR));
                expect(200, "", name(route), sendRight(route, USER));
            }
        }
        tell();
    }

    /** What a caller may not use is not there for it, in the words for what is not there at all. */
    @Test
    public void testAdapterOfOthers() throws Exception {
        for (Route route : routes()) {
            if (route.permission() != Permission.INFER) {
                continue;
            }
            boolean inPath = path(route).contains(ADAPTER);
            if (types(route).contains(JSON)) {
                JsonObject body = body(route);
                // the base model may not be used either
                expect(404, "demo", name(route), sendRight(route, STRANGER, body, ADAPTER));
                body.addProperty("adapter", ADAPTER);
                expect(404, ADAPTER, name(route), sendRight(route, STRANGER, body, ADAPTER));
                body.addProperty("adapter", "reverse");
                expect(200, "", name(route), sendRight(route, STRANGER, body, ADAPTER));
                continue;
            }
            HttpResponse<String> answer = sendRight(route, STRANGER);
            expect(inPath ? 404 : 200, "", name(route), answer);
            if (inPath) {
                HttpResponse<String> nobody = sendRight(route, STRANGER, null, "nobody");
                expect(404, "", name(route), nobody);
                Assert.assertEquals(
                        answer.body().replace(ADAPTER, "nobody"), nobody.body(), name(route));
                expect(200, "", name(route), sendRight(route, STRANGER, null, "reverse"));
            } else if (answer.body().contains(ADAPTER)) {
                problems.add(name(route) + " shows another's adapter: " + answer.body());
            }
        }
        tell();
    }

    @Test
    public void testNoSuchAdapter() throws Exception {
        for (Route route : routes()) {
            if (!route.path().toString().contains("{id}") || route.contentTypes().size() > 1) {
                continue;
            }
            JsonObject body = types(route).contains(JSON) ? body(route) : null;
            expect(404, "", name(route), sendRight(route, OPERATOR, body, "nobody"));
        }
        tell();
    }

    @Test
    public void testWrongContentType() throws Exception {
        int tried = 0;
        for (Route route : routes()) {
            List<String> types = types(route);
            Assert.assertTrue(
                    types.containsAll(route.contentTypes())
                            || route.contentTypes().contains("application/x-gzip"),
                    name(route) + " does not say that it takes " + route.contentTypes());
            if (types.isEmpty()) {
                continue;
            }
            ++tried;
            BodyPublisher content = BodyPublishers.ofString("{}");
            for (String type : List.of("text/html", "application/jsonp", "nonsense")) {
                HttpRequest.Builder request = request(path(route)).header("Content-Type", type);
                expect(415, type, name(route), send(route, OPERATOR, request, content));
            }
            expect(
                    415,
                    types.get(0),
                    name(route) + " without a type",
                    send(route, OPERATOR, request(path(route)), content));
        }
        Assert.assertTrue(tried > 15, "routes that take content: " + tried);
        tell();
    }

    @Test
    public void testTooMuchContent() throws Exception {
        for (Route route : routes()) {
            byte[] content = new byte[(route.upload() ? UPLOAD : BODY) + 1];
            for (boolean announced : new boolean[] {true, false}) {
                HttpRequest.Builder request = request(path(route));
                if (!types(route).isEmpty()) {
                    request.header("Content-Type", types(route).get(0));
                }
                BodyPublisher body =
                        announced
                                ? BodyPublishers.ofByteArray(content)
                                : BodyPublishers.ofInputStream(
                                        () -> new ByteArrayInputStream(content));
                expect(413, "allowed", name(route), send(route, OPERATOR, request, body));
            }
        }
        tell();
    }

    @Test
    public void testMissingContent() throws Exception {
        for (Route route : routes()) {
            List<String> types = types(route);
            if (types.isEmpty()) {
                continue;
            }
            HttpResponse<String> answer =
                    send(
                            route,
                            OPERATOR,
                            request(path(route)).header("Content-Type", types.get(0)),
                            BodyPublishers.noBody());
            expect(400, "", name(route) + " without content", answer);
        }
        tell();
    }

    @Test
    public void testMissingFields() throws Exception {
        for (Route route : taking(JSON)) {
            JsonObject right = body(route);
            JsonElement needed = schema(route).get("required");
            if (needed == null) {
                // one of several is needed, of which the first is meant
                String first = right.keySet().iterator().next();
                right.remove(first);
                expect(400, first, name(route), sendJson(route, right.toString()));
                continue;
            }
            for (JsonElement field : needed.getAsJsonArray()) {
                JsonObject body = right.deepCopy();
                body.remove(field.getAsString());
                String what = name(route) + " without " + field;
                expect(400, field.getAsString(), what, sendJson(route, body.toString()));
                body.add(field.getAsString(), null);
                expect(400, field.getAsString(), what, sendJson(route, body.toString()));
            }
        }
        tell();
    }

    @Test
    public void testUnknownFields() throws Exception {
        for (Route route : taking(JSON)) {
            JsonObject body = body(route);
            body.addProperty("nonsense", 1);
            expect(400, "nonsense", name(route), sendJson(route, body.toString()));
        }
        tell();
    }

    @Test
    public void testMalformedJson() throws Exception {
        for (Route route : taking(JSON)) {
            String right = body(route).toString();
            for (String wrong :
                    List.of(
                            right.substring(0, right.length() - 1),
                            right + "}",
                            right.replace("{\"", "{\"a\":1,\"a\":2,\""),
                            right.replace('"', '\''),
                            "[" + right + "]",
                            "null",
                            "\"text\"",
                            "[".repeat(BODY),
                            "\u0000")) {
                HttpResponse<String> answer = sendJson(route, wrong);
                expect(400, "", name(route) + ' ' + wrong.substring(0, 1), answer);
            }
            byte[] bytes = right.replaceFirst(":\"", ":\"\u00e9").getBytes(StandardCharsets.UTF_8);
            // the first byte of a letter of two, and no second
            bytes = new String(bytes, StandardCharsets.UTF_8).getBytes(StandardCharsets.ISO_8859_1);
            HttpResponse<String> answer =
                    send(
                            route,
                            OPERATOR,
                            request(path(route)).header("Content-Type", JSON),
                            BodyPublishers.ofByteArray(bytes));
            expect(400, "UTF-8", name(route), answer);
        }
        tell();
    }

    @Test
    public void testFieldsOfAnotherKind() throws Exception {
        int tried = 0;
        for (Route route : taking(JSON)) {
            JsonObject properties = schema(route).getAsJsonObject("properties");
            for (String field : properties.keySet()) {
                JsonObject schema = references.resolve(properties.getAsJsonObject(field));
                tried += tryKinds(route, field, field, schema, value -> value);
                if (schema.has("properties")) {
                    tried += tryInner(route, field, schema, false);
                }
                JsonElement items = schema.get("items");
                if (items != null && items.getAsJsonObject().has("properties")) {
                    tried += tryInner(route, field, items.getAsJsonObject(), true);
                }
            }
        }
        Assert.assertTrue(tried > 500, "tried: " + tried);
        tell();
    }

    private int tryInner(Route route, String field, JsonObject schema, boolean list)
            throws Exception {
        int tried = 0;
        JsonObject properties = schema.getAsJsonObject("properties");
        for (String inner : properties.keySet()) {
            tried +=
                    tryKinds(
                            route,
                            field,
                            field + (list ? "[0]." : ".") + inner,
                            references.resolve(properties.getAsJsonObject(inner)),
                            value -> {
                                JsonElement right = json(INNER.getOrDefault(field, "{}"));
                                JsonObject object = right.getAsJsonObject();
                                object.add(inner, value);
                                JsonArray items = new JsonArray();
                                items.add(object);
                                return list ? items : object;
                            });
        }
        return tried;
    }

    /** Makes the value of a field of what is wrong in it. */
    @FunctionalInterface
    private interface Around {
        JsonElement put(JsonElement value);
    }

    private int tryKinds(Route route, String field, String named, JsonObject schema, Around around)
            throws Exception {
        int tried = 0;
        JsonObject whole = schema.deepCopy();
        whole.add("components", document.get("components"));
        JsonSchema compiled =
                JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
                        .getSchema(whole.toString());
        for (String kind : KINDS) {
            JsonElement value = json(kind);
            if (compiled.validate(value.toString(), InputFormat.JSON).isEmpty()) {
                continue;
            }
            ++tried;
            JsonObject body = body(route);
            body.add(field, around.put(value));
            if ("stream_options".equals(field)) {
                body.addProperty("stream", true);
            }
            HttpResponse<String> answer = sendJson(route, body.toString());
            expect(400, named, name(route) + ' ' + body, answer);
        }
        return tried;
    }

    private JsonObject schema(Route route) {
        JsonObject content =
                references
                        .resolve(operation(route).getAsJsonObject("requestBody"))
                        .getAsJsonObject("content");
        return references.resolve(content.getAsJsonObject(JSON).getAsJsonObject("schema"));
    }

    @Test
    public void testParametersAndHeadersOfAnotherKind() throws Exception {
        int tried = 0;
        for (Route route : routes()) {
            JsonArray parameters = operation(route).getAsJsonArray("parameters");
            for (JsonElement each : parameters == null ? new JsonArray() : parameters) {
                JsonObject parameter = references.resolve(each.getAsJsonObject());
                String name = parameter.get("name").getAsString();
                String in = parameter.get("in").getAsString();
                String type =
                        parameter
                                .getAsJsonObject("schema")
                                .getAsJsonPrimitive("type")
                                .getAsString();
                if ("string".equals(type)) {
                    continue;
                }
                ++tried;
                boolean header = "header".equals(in);
                HttpRequest.Builder request =
                        request(path(route) + (header ? "" : needed(route) + name + "=nonsense"));
                BodyPublisher content = BodyPublishers.noBody();
                if (header) {
                    request.header(name, "nonsense");
                }
                if (types(route).contains(JSON) && header) {
                    request.header("Content-Type", JSON);
                    content = BodyPublishers.ofString(body(route).toString());
                } else if (!types(route).isEmpty()) {
                    request.header("Content-Type", types(route).get(0));
                    content = BodyPublishers.ofString("no archive");
                }
                String named = header ? name.toLowerCase(Locale.ROOT) : name;
                HttpResponse<String> answer = send(route, OPERATOR, request, content);
                if (!answer.body().toLowerCase(Locale.ROOT).contains(named)) {
                    problems.add(name(route) + ' ' + name + ": not named in " + answer.body());
                }
                expect(400, "", name(route) + ' ' + name, answer);
            }
        }
        Assert.assertTrue(tried > 10, "tried: " + tried);
        tell();
    }

    /** Returns the query of a request with the parameters that a registration needs. */
    private static String needed(Route route) {
        return name(route).endsWith("/adapters") && route.method() == Method.POST
                ? "?name=made&src=" + SOURCE + "&"
                : "?";
    }

    @Test
    public void testMissingParameters() throws Exception {
        int tried = 0;
        for (Route route : routes()) {
            JsonArray parameters = operation(route).getAsJsonArray("parameters");
            for (JsonElement each : parameters == null ? new JsonArray() : parameters) {
                JsonObject parameter = references.resolve(each.getAsJsonObject());
                if ("query".equals(parameter.get("in").getAsString())
                        && parameter.has("required")) {
                    String missing = parameter.get("name").getAsString();
                    String query = needed(route).replace(missing + "=", "other=");
                    HttpResponse<String> answer =
                            send(
                                    route,
                                    OPERATOR,
                                    request(path(route) + query),
                                    BodyPublishers.noBody());
                    expect(400, missing, name(route) + query, answer);
                    ++tried;
                }
            }
        }
        Assert.assertEquals(tried, 2, "routes with parameters that are needed");
        tell();
    }
}
