/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import picocli.CommandLine.Option;

/** The options of commands that ask a running server. */
public final class ServerOptions {

    /**
     * The variable that has the key to send. An option would be seen by everybody on the machine.
     */
    public static final String KEY = "DJL_LORA_API_KEY";

    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    @Option(
            names = "--url",
            paramLabel = "URL",
            defaultValue = "http://127.0.0.1:8080",
            description =
                    "Where the server listens. Default: http://127.0.0.1:8080. A key for it is"
                            + " taken from the variable DJL_LORA_API_KEY.")
    private String url;

    /**
     * Reads something of the server.
     *
     * @param path the path, which begins with a slash
     * @param accept the type that is wanted
     * @return the response
     * @throws LoraConfigurationException if the URL is none, or the server cannot be reached
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    public HttpResponse<String> get(String path, String accept) throws InterruptedException {
        try {
            HttpRequest.Builder request =
                    HttpRequest.newBuilder(URI.create(url.replaceFirst("/+$", "") + path))
                            .timeout(TIMEOUT)
                            .header("Accept", accept);
            String key = System.getenv(KEY);
            if (key != null && !key.isBlank()) {
                request.header("Authorization", "Bearer " + key.strip());
            }
            return HttpClient.newBuilder()
                    .connectTimeout(TIMEOUT)
                    .build()
                    .send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (IllegalArgumentException e) {
            throw new LoraConfigurationException(
                    "--url is " + url + "; it must be a URL such as http://127.0.0.1:8080", e);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    url + ": no server answers: " + (e.getMessage() == null ? e : e.getMessage()),
                    e);
        }
    }
}
