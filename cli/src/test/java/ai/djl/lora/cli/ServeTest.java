/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.server.security.KeyHash;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Tests the serve command as a process of its own, from a file to its end. */
public class ServeTest {

    private static final Path DEMO = Path.of("../examples/demo").toAbsolutePath().normalize();
    private static final String KEY = KeyHash.newKey();

    private final HttpClient client = HttpClient.newHttpClient();

    private static String config() {
        return """
        model: %s/base
        adapters: {upper: %s/upper}
        port: 0
        managementPort: 0
        authentication:
          keys: [{name: operator, hash: "%s", roles: [manage]}]
        drain: {time: 20s, pause: 1s}
        log: {access: true}
        replicas: 3
        """
                .formatted(DEMO, DEMO, KeyHash.of(KEY));
    }

    @Test
    public void testFromFileToEnd() throws Exception {
        Path folder = Files.createTempDirectory("djl-lora-serve-");
        Path file = Files.writeString(folder.resolve("server.yaml"), config());
        Path errors = folder.resolve("errors");
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-Dai.djl.offline=true",
                                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                                "-cp",
                                System.getProperty("java.class.path"),
                                DjlLora.class.getName(),
                                "serve",
                                "--config",
                                file.toString(),
                                "--replicas",
                                "2",
                                "--balancing",
                                "adapter_affine")
                        .redirectError(errors.toFile())
                        .start();
        try (BufferedReader out = process.inputReader()) {
            String management = after("Management on ", out.readLine(), errors);
            String main = after("Listening on ", out.readLine(), errors);
            Assert.assertEquals(run("health", "--url", main), "{\"status\":\"healthy\"}");
            Assert.assertEquals(get(main + "/health/ready").statusCode(), 200);
            Assert.assertEquals(get(main + "/metrics/prometheus").statusCode(), 404);
            String metrics = get(management + "/metrics/prometheus").body();
            Assert.assertTrue(metrics.contains("vllm:num_requests_running{"), metrics);
            // the option overrides the file
            Assert.assertTrue(metrics.contains("replica=\"1\"} 1.0"), metrics);
            Assert.assertFalse(metrics.contains("replica=\"2\""), metrics);
            Assert.assertEquals(completion(main), 200);
            Assert.assertEquals(pin(main), 404);
            Assert.assertEquals(pin(management), 200);
            process.destroy();
            // while it says that it is not ready it still answers
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            int ready = 200;
            while (ready == 200 && System.nanoTime() < end) {
                ready = get(main + "/health/ready").statusCode();
            }
            Assert.assertEquals(ready, 503);
            Assert.assertTrue(process.waitFor(60, TimeUnit.SECONDS), "the process goes on");
            String told = Files.readString(errors);
            Assert.assertTrue(told.contains("ai.djl.lora.access - {\"time\":"), told);
            Assert.assertTrue(told.contains("\"route\":\"/v1/completions\""), told);
            Assert.assertTrue(
                    told.lines()
                            .anyMatch(
                                    line ->
                                            line.contains("ai.djl.lora.audit - {")
                                                    && line.contains("\"caller\":\"operator\"")
                                                    && line.contains("\"adapter\":\"upper\"")
                                                    && line.contains("\"outcome\":\"done\"")),
                    told);
            Assert.assertFalse(told.contains("hello="), "a log has what was asked: " + told);
            Assert.assertFalse(told.contains(KEY), "a log has a key");
        } finally {
            process.destroyForcibly();
            Files.deleteIfExists(errors);
            Files.delete(file);
            Files.delete(folder);
        }
    }

    private static String after(String begin, String line, Path errors) throws IOException {
        Assert.assertTrue(
                line != null && line.startsWith(begin), line + "; " + Files.readString(errors));
        return line.substring(begin.length());
    }

    private HttpResponse<String> get(String uri) throws Exception {
        return client.send(
                HttpRequest.newBuilder(URI.create(uri)).header("X-API-Key", KEY).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    private int pin(String at) throws Exception {
        return client.send(
                        HttpRequest.newBuilder(URI.create(at + "/adapters/upper/pin"))
                                .header("X-API-Key", KEY)
                                .POST(HttpRequest.BodyPublishers.noBody())
                                .build(),
                        HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    private int completion(String main) throws Exception {
        String body = "{\"model\":\"upper\",\"prompt\":\"hello=\",\"max_tokens\":16}";
        return client.send(
                        HttpRequest.newBuilder(URI.create(main + "/v1/completions"))
                                .header("Authorization", "Bearer " + KEY)
                                .header("Content-Type", "application/json")
                                .POST(HttpRequest.BodyPublishers.ofString(body))
                                .build(),
                        HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    private static String run(String... args) {
        StringWriter out = new StringWriter();
        try (PrintWriter to = new PrintWriter(out);
                PrintWriter errors = new PrintWriter(new StringWriter())) {
            DjlLora.run(to, errors, args);
        }
        return out.toString().strip();
    }

    @Test
    public void testWhatIsMissingOrRefused() {
        StringWriter errors = new StringWriter();
        try (PrintWriter out = new PrintWriter(new StringWriter());
                PrintWriter to = new PrintWriter(errors)) {
            Assert.assertEquals(DjlLora.run(out, to, "serve"), 2);
            Assert.assertEquals(DjlLora.run(out, to, "health", "--url", "http://127.0.0.1:1"), 2);
            String base = DEMO.resolve("base").toString();
            Assert.assertEquals(
                    DjlLora.run(out, to, "serve", "--model", base, "--replicas", "0"), 2);
            Assert.assertEquals(
                    DjlLora.run(out, to, "serve", "--model", base, "--balancing", "best"), 2);
            Assert.assertEquals(DjlLora.run(out, to, "metrics", "--url", "nowhere"), 2);
        }
        for (String wanted :
                List.of(
                        "no model is given",
                        "no server answers",
                        "must be a URL",
                        "replicas is 0; it must be from 1 to 64",
                        "balancing is best; allowed are least_loaded and adapter_affine")) {
            Assert.assertTrue(errors.toString().contains(wanted), errors.toString());
        }
    }

    @Test
    public void testKeyAndCompletion() {
        List<String> lines = run("config", "key").lines().toList();
        Assert.assertTrue(lines.get(0).startsWith("key   djl_"), lines.toString());
        Assert.assertEquals(
                lines.get(1).substring(6), KeyHash.of(lines.get(0).substring(6)).toString());
        String script = run("completion");
        Assert.assertTrue(script.contains("--management-port"), "completion has no option");
    }
}
