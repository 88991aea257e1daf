/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** A client of a running server, as applications have it: OpenAI's routes, streamed. */
final class ServerClient {

    private static final Duration TIMEOUT = Duration.ofMinutes(5);
    private static final String DATA = "data: ";

    private final String url;
    private final String key;
    private final HttpClient http;

    /**
     * Constructs a new {@code ServerClient} instance.
     *
     * @param url the server's root
     * @param key the API key; null for none
     */
    ServerClient(String url, String key) {
        this.url = url.replaceAll("/+$", "");
        this.key = key;
        try {
            URI.create(this.url + "/");
        } catch (IllegalArgumentException e) {
            throw new LoraConfigurationException("--url is " + url + ", which is no URL", e);
        }
        this.http =
                HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .connectTimeout(Duration.ofSeconds(10))
                        .build();
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(url + path));
        if (key != null) {
            builder.header("Authorization", "Bearer " + key);
        }
        return builder.timeout(TIMEOUT);
    }

    /**
     * Returns what requests can ask for.
     *
     * @return the base model's name, and then the adapters'
     * @throws LoraConfigurationException if no server answers, or one that has no such route
     */
    List<String> models() throws IOException, InterruptedException {
        HttpResponse<String> answer;
        try {
            answer = http.send(request("/v1/models").build(), HttpResponse.BodyHandlers.ofString());
        } catch (ConnectException | HttpConnectTimeoutException e) {
            throw new LoraConfigurationException(url + ": no server answers there", e);
        }
        if (answer.statusCode() != 200) {
            throw new LoraConfigurationException(
                    url
                            + "/v1/models answers "
                            + answer.statusCode()
                            + ": "
                            + Message.quote(answer.body()));
        }
        List<String> base = new ArrayList<>();
        List<String> adapters = new ArrayList<>();
        for (JsonObject model : listed(answer.body())) {
            JsonElement parent = model.get("parent");
            boolean isBase = parent == null || parent.isJsonNull();
            (isBase ? base : adapters).add(model.get("id").getAsString());
        }
        if (base.size() != 1) {
            throw new LoraConfigurationException(
                    url + "/v1/models names " + base.size() + " base models; one is needed");
        }
        base.addAll(adapters);
        return base;
    }

    private List<JsonObject> listed(String body) {
        try {
            if (JsonParser.parseString(body) instanceof JsonObject object
                    && object.get("data") instanceof JsonArray data) {
                return data.asList().stream().map(JsonElement::getAsJsonObject).toList();
            }
        } catch (JsonParseException | IllegalStateException e) {
            throw noList(body, e);
        }
        throw noList(body, null);
    }

    private LoraConfigurationException noList(String body, RuntimeException cause) {
        return new LoraConfigurationException(
                url + "/v1/models answers " + Message.quote(body) + "; a list is needed", cause);
    }

    /**
     * Returns a metric of the server.
     *
     * @param start how its line begins, with its labels
     * @return its value; empty where the server does not tell it
     */
    OptionalDouble metric(String start) throws IOException, InterruptedException {
        HttpResponse<Stream<String>> answer =
                http.send(
                        request("/metrics/prometheus").build(),
                        HttpResponse.BodyHandlers.ofLines());
        try (Stream<String> lines = answer.body()) {
            return lines.filter(line -> line.startsWith(start))
                    .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                    .findFirst();
        }
    }

    /**
     * Has a prompt answered, and reads the answer while it comes.
     *
     * @param prompt the prompt
     * @param base the base model's name
     * @param maxTokens the most tokens
     * @return the answer, also where there is none
     */
    ServerAnswer complete(ServerPrompt prompt, String base, int maxTokens)
            throws InterruptedException {
        JsonObject body = new JsonObject();
        body.addProperty("model", prompt.adapter().isEmpty() ? base : prompt.adapter());
        body.addProperty("prompt", prompt.prompt());
        body.addProperty("max_tokens", maxTokens);
        body.addProperty("temperature", 0);
        body.addProperty("stream", true);
        JsonObject options = new JsonObject();
        options.addProperty("include_usage", true);
        body.add("stream_options", options);
        HttpRequest request =
                request("/v1/completions")
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
                        .build();
        Reading reading = new Reading(System.nanoTime());
        try {
            HttpResponse<Stream<String>> answer =
                    http.send(request, HttpResponse.BodyHandlers.ofLines());
            try (Stream<String> lines = answer.body()) {
                reading.read(answer.statusCode(), lines.iterator());
            }
        } catch (IOException | UncheckedIOException | JsonParseException e) {
            reading.failure = e.getClass().getSimpleName();
        }
        return reading.answer(prompt);
    }

    /** One answer while it is read. */
    private static final class Reading {

        private final long begun;
        private final StringBuilder text = new StringBuilder();
        private long first;
        private int tokens;
        private boolean done;
        private String failure;

        Reading(long begun) {
            this.begun = begun;
        }

        void read(int status, Iterator<String> lines) {
            if (status != 200) {
                StringBuilder body = new StringBuilder();
                lines.forEachRemaining(body::append);
                failure = status + " " + code(body.toString());
                return;
            }
            while (lines.hasNext()) {
                String line = lines.next();
                if (line.startsWith(DATA)) {
                    event(line.substring(DATA.length()));
                }
            }
            if (!done && failure == null) {
                failure = "ended_early";
            }
        }

        private void event(String data) {
            if ("[DONE]".equals(data)) {
                done = true;
                return;
            }
            JsonObject event = JsonParser.parseString(data).getAsJsonObject();
            if (event.has("error")) {
                failure = code(data);
                return;
            }
            JsonArray choices = event.getAsJsonArray("choices");
            if (choices != null && !choices.isEmpty()) {
                if (first == 0) {
                    first = System.nanoTime();
                }
                JsonElement piece = choices.get(0).getAsJsonObject().get("text");
                text.append(piece == null || piece.isJsonNull() ? "" : piece.getAsString());
            }
            JsonElement usage = event.get("usage");
            if (usage != null && usage.isJsonObject()) {
                tokens = usage.getAsJsonObject().get("completion_tokens").getAsInt();
            }
        }

        private static String code(String body) {
            try {
                JsonElement root = JsonParser.parseString(body);
                if (root.isJsonObject()
                        && root.getAsJsonObject().get("error") instanceof JsonObject error
                        && error.get("code") instanceof JsonPrimitive code) {
                    return code.getAsString();
                }
                return "unreadable";
            } catch (JsonParseException e) {
                return "unreadable";
            }
        }

        ServerAnswer answer(ServerPrompt prompt) {
            long nanos = System.nanoTime() - begun;
            return new ServerAnswer(
                    prompt,
                    begun,
                    first == 0 ? 0 : first - begun,
                    nanos,
                    tokens,
                    text.toString(),
                    Optional.ofNullable(failure));
        }
    }
}
