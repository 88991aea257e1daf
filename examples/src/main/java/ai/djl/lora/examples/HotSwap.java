/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import ai.djl.lora.server.model.ServedModel;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Puts a new revision of an adapter in the place of the one that is served, which must answer a
 * prompt as expected before it does. The first one does not, and the old one stays.
 */
public final class HotSwap {

    private HotSwap() {}

    /**
     * Prints what the server answers.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or served
     */
    public static void main(String[] args) throws Exception {
        var demo = Path.of("examples/demo").toAbsolutePath();
        var model =
                ServedModel.load(
                        "demo", demo.resolve("base"), Map.of(), SamplingParameters.greedy(32));
        model.adapters().register("acme", demo.resolve("upper"));
        var sources =
                SourceOptions.builder()
                        .optPolicy(SourcePolicy.of(List.of(demo.toString())))
                        .build();
        var builder = LoraServer.builder().setModel(model).optAdapterSources(sources);
        try (var server = builder.build().start()) {
            for (String next : new String[] {"sort", "reverse"}) {
                String swap =
                        """
                        {"source": "%s", "golden": [{"prompt": "hello=", "expected": "olleh"}]}"""
                                .formatted(demo.resolve(next));
                var swapped = post(server.uri() + "/adapters/acme/hot-swap", swap);
                System.out.println(next + ": " + swapped.statusCode());
                String prompt = "{\"prompt\": \"hello=\", \"adapter_id\": \"acme\"}";
                var answer = post(server.uri() + "/generate", prompt);
                System.out.println(answer.body().replaceAll(".*generated_text\":\"(\\w+).*", "$1"));
            }
        }
    }

    private static HttpResponse<String> post(String url, String json) throws Exception {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create(url))
                                .header("Content-Type", "application/json")
                                .POST(HttpRequest.BodyPublishers.ofString(json))
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
    }
}
