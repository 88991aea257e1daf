/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/** Asks a running server to list and to change its adapters. */
public final class AdapterClient {

    /** A change may fetch and try an adapter first. */
    private static final Duration TIMEOUT = Duration.ofMinutes(30);

    private final URI server;
    private final String key;
    private final HttpClient http =
            HttpClient.newBuilder()
                    .version(HttpClient.Version.HTTP_1_1)
                    .connectTimeout(Duration.ofSeconds(10))
                    .build();

    AdapterClient(URI server, String key) {
        this.server = server;
        this.key = key;
    }

    /** Returns the path of an adapter, or of something that is done with it. */
    static String path(String name, String... rest) {
        StringBuilder path = new StringBuilder("/adapters/").append(encoded(name));
        for (String part : rest) {
            path.append('/').append(part);
        }
        return path.toString();
    }

    /** Returns text as a part of a path. */
    static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    JsonObject get(String path) throws IOException {
        return send(request(path).GET());
    }

    JsonObject delete(String path) throws IOException {
        return send(request(path).DELETE());
    }

    JsonObject post(String path, JsonObject body) throws IOException {
        return send(
                request(path)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.toString())));
    }

    JsonObject upload(String method, String path, Path archive) throws IOException {
        try {
            return send(
                    request(path)
                            .header("Content-Type", "application/octet-stream")
                            .method(method, HttpRequest.BodyPublishers.ofFile(archive)));
        } catch (FileNotFoundException e) {
            throw new LoraConfigurationException(archive + ": there is no such file", e);
        }
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(server + path)).timeout(TIMEOUT);
        if (key != null && !key.isEmpty()) {
            request.header("Authorization", "Bearer " + key);
        }
        return request;
    }

    private JsonObject send(HttpRequest.Builder request) throws IOException {
        HttpResponse<String> response;
        try {
            response = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (ConnectException e) {
            throw new LoraConfigurationException(server + ": no server answers there", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LoraConfigurationException(server + ": interrupted", e);
        }
        JsonObject body = parsed(response);
        if (response.statusCode() >= 400) {
            throw new LoraConfigurationException(
                    server + " answered " + response.statusCode() + ": " + message(body));
        }
        return body;
    }

    private JsonObject parsed(HttpResponse<String> response) {
        try {
            return JsonParser.parseString(response.body()).getAsJsonObject();
        } catch (JsonParseException | IllegalStateException e) {
            throw new LoraConfigurationException(
                    server + " answered " + response.statusCode() + " and no JSON object", e);
        }
    }

    private static String message(JsonObject body) {
        JsonElement error = body.get("error");
        if (error == null || !error.isJsonObject()) {
            return Message.oneLine(body.toString());
        }
        JsonObject fields = error.getAsJsonObject();
        String step =
                fields.has("step") ? "at the step " + fields.get("step").getAsString() + ": " : "";
        JsonElement message = fields.get("message");
        return step + (message == null ? "" : Message.oneLine(message.getAsString()));
    }
}
