/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.ModelException;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.replica.ReplicaOptions;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.translate.NoopTranslator;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.UnaryOperator;

/** A server of the demo model and some of its adapters on a free port, and a client of it. */
public final class DemoServer implements AutoCloseable {

    /** The folder of the demo model and its adapters. */
    public static final Path FOLDER = Path.of("../examples/demo");

    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    private final LoraServer server;
    private final HttpClient client = HttpClient.newBuilder().build();

    /** Starts a server as it is by default. */
    public DemoServer() throws IOException, ModelException {
        this(builder -> builder);
    }

    /** Starts a server. */
    public DemoServer(UnaryOperator<LoraServer.Builder> settings)
            throws IOException, ModelException {
        this(model("upper", "reverse"), settings);
    }

    /** Starts a server of a model, which it closes. */
    public DemoServer(ServedModel model, UnaryOperator<LoraServer.Builder> settings) {
        server =
                settings.apply(
                                LoraServer.builder()
                                        .setModel(model)
                                        .optDrainTime(Duration.ofSeconds(5)))
                        .build()
                        .start();
    }

    /** Loads the demo model with adapters. */
    public static ServedModel model(String... adapters) throws IOException, ModelException {
        return model(ReplicaOptions.of(1), adapters);
    }

    /** Loads the demo model with adapters, for several engines. */
    public static ServedModel model(ReplicaOptions replicas, String... adapters)
            throws IOException, ModelException {
        var model =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optEngine("PyTorch")
                        .optModelPath(FOLDER.resolve("base"))
                        .optTranslator(new NoopTranslator())
                        .optArgument("dtype", "float32")
                        .build()
                        .loadModel();
        ServedModel served =
                new ServedModel(
                        "demo",
                        model,
                        SamplingParameters.greedy(32),
                        EngineOptions.builder(),
                        replicas);
        for (String adapter : adapters) {
            served.adapters().register(adapter, FOLDER.resolve(adapter));
        }
        return served;
    }

    /** Returns the server. */
    public LoraServer server() {
        return server;
    }

    /** Returns the address of a path. */
    public URI uri(String path) {
        return URI.create(server.uri() + path);
    }

    /** Sends a request without content. */
    public HttpResponse<String> send(String method, String path)
            throws IOException, InterruptedException {
        return send(
                HttpRequest.newBuilder(uri(path))
                        .method(method, HttpRequest.BodyPublishers.noBody()));
    }

    /** Posts JSON, with ' for ". */
    public HttpResponse<String> post(String path, String json)
            throws IOException, InterruptedException {
        return send(
                HttpRequest.newBuilder(uri(path))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(json.replace('\'', '"'))));
    }

    /** Sends a request. */
    public HttpResponse<String> send(HttpRequest.Builder request)
            throws IOException, InterruptedException {
        return client.send(request.timeout(TIMEOUT).build(), HttpResponse.BodyHandlers.ofString());
    }

    @Override
    public void close() {
        server.close();
    }
}
