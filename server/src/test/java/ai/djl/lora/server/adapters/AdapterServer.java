/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.ModelException;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.testng.Assert;

/** A demo server whose adapters are managed, and what its tests ask of it again and again. */
final class AdapterServer implements AutoCloseable {

    /** Where the demo adapters lie. */
    static final String FOLDER = folder();

    /** Where lies what transformers and PEFT compute with them. */
    static final Path GOLDENS =
            Path.of("../src/test/resources/goldens/demo").toAbsolutePath().normalize();

    private final DemoServer demo;

    /** Starts a server that takes adapters from the demo's folder. */
    AdapterServer() throws IOException, ModelException {
        this(AdapterServer::demoSources);
    }

    /** Starts a server. */
    AdapterServer(UnaryOperator<SourceOptions.Builder> sources) throws IOException, ModelException {
        this(DemoServer.model("upper", "reverse"), sources);
    }

    /** Starts a server of a model that takes adapters from the demo's folder. */
    AdapterServer(ServedModel model) {
        this(model, AdapterServer::demoSources);
    }

    private AdapterServer(ServedModel model, UnaryOperator<SourceOptions.Builder> sources) {
        demo =
                new DemoServer(
                        model,
                        builder ->
                                builder.optAdapterSources(
                                                sources.apply(SourceOptions.builder()).build())
                                        .addFilter(
                                                (request, route, next) ->
                                                        next.handle(
                                                                request.from(
                                                                        caller(
                                                                                request.header(
                                                                                                "x-caller")
                                                                                        .orElse(
                                                                                                ""))))));
    }

    private static SourceOptions.Builder demoSources(SourceOptions.Builder sources) {
        return sources.optPolicy(SourcePolicy.of(List.of(FOLDER, GOLDENS.toString())));
    }

    private static String folder() {
        return DemoServer.FOLDER.toAbsolutePath().normalize().toString();
    }

    /** Returns who may use and see one adapter alone, or whoever may do everything. */
    private static Caller caller(String adapter) {
        return adapter.isEmpty()
                ? Caller.ANYBODY
                : new Caller(adapter, "", Set.of(Permission.INFER), adapter::equals);
    }

    LoraServer server() {
        return demo.server();
    }

    /** Returns the source of a demo adapter. */
    static String source(String adapter) {
        return Path.of(FOLDER, adapter).toString();
    }

    JsonObject get(String path) throws IOException, InterruptedException {
        return json(demo.send("GET", path), 200);
    }

    /** Sends a request by somebody who may see one adapter alone. */
    HttpResponse<String> getAs(String caller, String path)
            throws IOException, InterruptedException {
        return demo.send(HttpRequest.newBuilder(demo.uri(path)).header("X-Caller", caller));
    }

    JsonObject send(int status, String method, String path)
            throws IOException, InterruptedException {
        return json(demo.send(method, path), status);
    }

    JsonObject post(int status, String path, String body, Object... values)
            throws IOException, InterruptedException {
        return json(demo.post(path, String.format(body, values)), status);
    }

    String text(int status, String path, String body, Object... values)
            throws IOException, InterruptedException {
        HttpResponse<String> answer = demo.post(path, String.format(body, values));
        Assert.assertEquals(answer.statusCode(), status, answer.body());
        return answer.body();
    }

    JsonObject upload(int status, String method, String path, String type, byte[] content)
            throws IOException, InterruptedException {
        return json(
                demo.send(
                        HttpRequest.newBuilder(demo.uri(path))
                                .header("Content-Type", type)
                                .method(method, HttpRequest.BodyPublishers.ofByteArray(content))),
                status);
    }

    /** Asserts that a request is refused, and returns why, which names no path of the server. */
    static String message(JsonObject answer) {
        String message = answer.getAsJsonObject("error").get("message").getAsString();
        Assert.assertFalse(message.contains("djl-lora-"), message);
        return message;
    }

    private static JsonObject json(HttpResponse<String> answer, int status) {
        Assert.assertEquals(answer.statusCode(), status, answer.body());
        return JsonParser.parseString(answer.body()).getAsJsonObject();
    }

    /** Returns the names of the adapters of a list. */
    static List<String> names(JsonArray adapters) {
        List<String> names = new ArrayList<>();
        for (JsonElement adapter : adapters) {
            names.add(adapter.getAsJsonObject().get("name").getAsString());
        }
        return names;
    }

    /** Asks an adapter as requests of a session do. */
    TextResult ask(String adapter, String session, String prompt) throws Exception {
        String target = demo.server().targets().target(adapter, session);
        return demo.server()
                .model()
                .text()
                .begin(new TextRequest(prompt, target))
                .result()
                .get(60, TimeUnit.SECONDS);
    }

    /** Returns an adapter's answer. */
    String answer(String adapter, String prompt) throws Exception {
        return ask(adapter, "", prompt).text();
    }

    @Override
    public void close() {
        demo.close();
    }
}
