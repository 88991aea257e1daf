/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.Map;

/** Refuses requests by a rule of the application's own. */
public final class CustomValidation {

    private CustomValidation() {}

    /**
     * Prints what the server answers.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or served
     */
    public static void main(String[] args) throws Exception {
        Filter noSecrets =
                (request, route, next) -> {
                    if (request.body() instanceof Body.InMemory body
                            && body.text().contains("secret")) {
                        throw HttpFailure.badRequest("prompt", "the prompt tells a secret");
                    }
                    return next.handle(request);
                };
        var model =
                ServedModel.load(
                        "demo",
                        Path.of("examples/demo/base"),
                        Map.of(),
                        SamplingParameters.greedy(32));
        var builder = LoraServer.builder().setModel(model).addFilter(noSecrets);
        try (var server = builder.build().start()) {
            for (String prompt : new String[] {"hello=", "secret="}) {
                var request =
                        HttpRequest.newBuilder(URI.create(server.uri() + "/generate"))
                                .header("Content-Type", "application/json")
                                .POST(
                                        HttpRequest.BodyPublishers.ofString(
                                                "{\"prompt\": \"" + prompt + "\"}"))
                                .build();
                var answer =
                        HttpClient.newHttpClient()
                                .send(request, HttpResponse.BodyHandlers.ofString());
                System.out.println(answer.statusCode() + " " + answer.body());
            }
        }
    }
}
