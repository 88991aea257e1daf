/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.replica.AdapterAffine;
import ai.djl.lora.server.security.KeyHash;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Tests the server's configuration file. */
public class ServerConfigTest {

    private static final String KEY = KeyHash.newKey();

    private Path folder;

    @BeforeMethod
    public void makeFolder() throws IOException {
        folder = Files.createTempDirectory("djl-lora-config-");
    }

    @AfterMethod(alwaysRun = true)
    public void removeFolder() throws IOException {
        try (var files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }

    private Path write(String yaml) throws IOException {
        return Files.writeString(folder.resolve("server.yaml"), yaml);
    }

    @Test
    public void testWholeFile() throws Exception {
        Path file =
                write(
                        """
                        model: base
                        name: tiny
                        dtype: float32
                        offloadLayers: 3
                        adapterDtype: int8
                        adapters:
                          upper: adapters/upper
                        residency:
                          device: {adapters: 8}
                        host: 127.0.0.1
                        port: 0
                        managementPort: 0
                        authentication:
                          keys:
                            - name: operator
                              hash: %s
                              roles: [infer, manage]
                              adapters: [upper, "legal-*"]
                              base: false
                              rate: {requests: 3, per: 1h}
                        limits: {body: 1MiB, headerTime: 2s}
                        inference: {newTokens: 7}
                        rateLimits:
                          global: {requests: 1000, per: 1s, burst: 2000}
                          adapters:
                            - {name: upper, requests: 1, per: 1m}
                        metrics: {open: true, adapters: 5}
                        log: {level: info}
                        drain: {time: 3s, pause: 10ms}
                        sampling: {maxTokens: 9, temperature: 0.5}
                        engine: {maxSequences: 4, kvType: int8, tenantWeights: {acme: 2}}
                        cache: {enabled: true, bytes: 1MiB, time: 5m}
                        replicas: 3
                        balancing: {strategy: adapter_affine, loadFactor: 1.5, sessions: false}
                        """
                                .formatted(KeyHash.of(KEY)));
        Assert.assertEquals(ServerConfig.check(file), List.of());
        ServerConfig config = ServerConfig.read(file);
        Assert.assertEquals(config.model().orElseThrow(), folder.resolve("base").toString());
        Assert.assertEquals(config.name().orElseThrow(), "tiny");
        Assert.assertEquals(config.adapters(), Map.of("upper", folder.resolve("adapters/upper")));
        Assert.assertEquals(
                config.modelArguments(),
                Map.of(
                        "dtype",
                        "float32",
                        "offload_layers",
                        "3",
                        "adapter_dtype",
                        "int8",
                        "residency",
                        file + "#residency"));
        Assert.assertEquals(config.sampling().maxNewTokens(), 9);
        Assert.assertEquals(config.logLevel().orElseThrow(), "info");
        Assert.assertEquals(config.replicas().count(), 3);
        Assert.assertEquals(config.replicas().balancer().getClass(), AdapterAffine.class);
        ServerConfig overridden = ServerConfig.read(file).setReplicas(2);
        Assert.assertEquals(overridden.replicas().count(), 2);
        Assert.assertThrows(
                LoraConfigurationException.class, () -> overridden.setBalancing("best"));
        try (var model = DemoServer.model("upper");
                LoraServer server = config.builder().setModel(model).build().start()) {
            Assert.assertNotEquals(server.uri(), server.managementUri());
            Assert.assertEquals(status(server.uri() + "/metrics", null), 200);
            Assert.assertEquals(status(server.uri() + "/info", null), 401);
            for (int i = 0; i < 3; ++i) {
                Assert.assertEquals(status(server.uri() + "/info", KEY), 200);
            }
            Assert.assertEquals(status(server.uri() + "/info", KEY), 429);
        }
    }

    private static int status(String uri, String key) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(uri));
        if (key != null) {
            request.header("Authorization", "Bearer " + key);
        }
        return HttpClient.newHttpClient()
                .send(request.build(), HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    @Test
    public void testEveryMistakeAtOnce() throws Exception {
        Path file =
                write(
                        """
                        modle: base
                        port: 70000
                        tls: {certificate: none.pem}
                        authentication:
                          keys:
                            - name: a
                              hash: secret
                              roles: [admin]
                            - hash: %s
                          jwt: {issuer: "https://i.example"}
                        limits: {body: 5GiB, headerTime: fast}
                        rateLimits:
                          global: {per: 1s}
                        log: {level: loud}
                        residency:
                          device: {adapterz: 1}
                        engine: {maxSequences: 0}
                        replicas: 0
                        balancing: {strategy: least_loaded, loadFactor: 2}
                        """
                                .formatted(KeyHash.of(KEY)));
        String told = String.join("\n", ServerConfig.check(file));
        for (String wanted :
                List.of(
                        ":1: unknown key \"modle\"; nearest are model",
                        ":2: port is \"70000\"; allowed is a whole number from 0 to 65535",
                        ":3: tls.key is missing",
                        ":7: authentication.keys[0].hash: a key's hash must be sha256:",
                        ":8: authentication.keys[0].roles: there is no role admin",
                        ":9: authentication.keys[1].name is missing",
                        ":10: authentication.jwt.audience is missing",
                        ":11: limits.headerTime is \"fast\"",
                        ":11: limits.body must be 1GiB or less",
                        ":13: rateLimits.global.requests is missing",
                        ":14: log.level is \"loud\"",
                        ":16: unknown key \"residency.device.adapterz\"",
                        ":17: engine.maxSequences is \"0\"",
                        ":18: replicas is \"0\"; allowed is a whole number from 1 to 64",
                        ":19: balancing.loadFactor is given without strategy adapter_affine")) {
            Assert.assertTrue(told.contains(wanted), wanted + " is not in\n" + told);
        }
        LoraConfigurationException refusal =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> ServerConfig.read(file));
        Assert.assertTrue(refusal.getMessage().contains("more, see"), refusal.getMessage());
        Assert.assertFalse(told.contains("secret"), told);
    }

    @Test
    public void testKindsOfFiles() throws Exception {
        Assert.assertTrue(ServerConfig.isServerFile(write("port: 1\n")), "server");
        Assert.assertTrue(ServerConfig.isServerFile(write("engine: {}\nadapters: {}\n")), "server");
        Assert.assertFalse(
                ServerConfig.isServerFile(write("device: {adapters: 1}\n")), "residency");
    }

    /** The tables of the documentation have every key and no other. */
    @Test
    public void testDocumentationHasEveryKey() throws Exception {
        Set<String> documented = new TreeSet<>();
        Pattern row = Pattern.compile("^\\| `([A-Za-z.\\[\\]]+)` \\|");
        for (String line : Files.readAllLines(Path.of("../docs/configuration.md"))) {
            Matcher matcher = row.matcher(line);
            if (matcher.find()) {
                documented.add(matcher.group(1));
            }
        }
        Set<String> keys =
                ServerConfig.keys().stream()
                        .filter(key -> !key.startsWith("residency."))
                        .collect(Collectors.toCollection(TreeSet::new));
        Assert.assertEquals(documented, keys);
    }
}
