/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Adapters from folders, hosts, buckets and the hub, and what may not be had from there. */
public class SourcesTest {

    private static final List<String> FILES =
            List.of("adapter_config.json", "adapter_model.safetensors");

    private FileHost host;
    private FileHost other;
    private Path copies;

    @BeforeMethod
    public void start() throws IOException {
        host = new FileHost();
        other = new FileHost();
        copies = Files.createTempDirectory("copies");
    }

    @AfterMethod(alwaysRun = true)
    public void stop() {
        host.close();
        other.close();
    }

    private AdapterServer server(
            List<String> allowed, UnaryOperator<SourceOptions.Builder> settings) throws Exception {
        return new AdapterServer(
                sources ->
                        settings.apply(
                                sources.optFolder(copies).optPolicy(SourcePolicy.of(allowed))));
    }

    private static byte[] file(String adapter, String name) throws IOException {
        return Files.readAllBytes(Path.of(AdapterServer.source(adapter), name));
    }

    private static byte[] zip(String adapter) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (String name : FILES) {
                zip.putNextEntry(new ZipEntry(name));
                zip.write(file(adapter, name));
            }
        }
        return bytes.toByteArray();
    }

    private static void register(AdapterServer server, String source) throws Exception {
        server.post(201, "/adapters", "{'name':'x','source':'%s'}", source);
        Assert.assertEquals(server.answer("x", "hello="), "uryyb");
        Assert.assertEquals(server.get("/adapters/x").get("src").getAsString(), source);
        server.send(200, "DELETE", "/adapters/x");
    }

    private String refused(AdapterServer server, int status, String source) throws Exception {
        String message =
                AdapterServer.message(
                        server.post(status, "/adapters", "{'name':'x','source':'%s'}", source));
        try (Stream<Path> list = Files.list(copies)) {
            Assert.assertEquals(list.count(), 0, message);
        }
        return message;
    }

    @Test
    public void testFolders() throws Exception {
        Path allowed = Files.createTempDirectory("allowed");
        Path elsewhere = Files.createTempDirectory("elsewhere");
        for (String name : FILES) {
            Files.write(
                    Files.createDirectories(allowed.resolve("in")).resolve(name),
                    file("rot13", name));
            Files.write(elsewhere.resolve(name), file("rot13", name));
        }
        Files.write(allowed.resolve("a.zip"), zip("rot13"));
        Files.createSymbolicLink(allowed.resolve("link"), elsewhere);
        Files.createDirectories(allowed.resolve("half"));
        Files.createSymbolicLink(
                allowed.resolve("half/adapter_config.json"),
                elsewhere.resolve("adapter_config.json"));
        Files.createSymbolicLink(
                allowed.resolve("half/adapter_model.safetensors"),
                elsewhere.resolve("adapter_model.safetensors"));
        try (AdapterServer server = server(List.of(allowed.toUri().toString()), same -> same)) {
            register(server, allowed.resolve("in").toString());
            register(server, allowed.resolve("in").toUri().toString());
            register(server, allowed.resolve("a.zip").toString());
            server.server().adapters().sweep(Duration.ZERO);
            refused(server, 403, elsewhere.toString());
            refused(server, 403, allowed.resolve("link").toString());
            refused(server, 403, allowed + "/../" + elsewhere.getFileName());
            refused(server, 403, allowed + "x");
            refused(server, 403, "file:///etc/passwd");
            String half = refused(server, 400, allowed.resolve("half").toString());
            Assert.assertTrue(half.contains("leads out of the adapter's folder"), half);
        }
        // the server has removed nothing that it does not own
        Assert.assertTrue(Files.exists(allowed.resolve("a.zip")), "archive");
    }

    @Test
    public void testHosts() throws Exception {
        host.put("/good/a.zip", zip("rot13"));
        host.put("/elsewhere/a.zip", zip("rot13"));
        host.put("/good/page.html", "<html>".getBytes(StandardCharsets.UTF_8));
        other.put("/a.zip", zip("rot13"));
        host.redirect("/good/here", "/good/a.zip");
        host.redirect("/good/loop", "/good/loop");
        host.redirect("/good/out", other.url() + "/a.zip");
        host.redirect("/good/beside", "/elsewhere/a.zip");
        host.redirect("/good/file", "file:///etc/passwd");
        try (AdapterServer server = server(List.of(host.url() + "/good"), same -> same)) {
            register(server, host.url() + "/good/a.zip");
            register(server, host.url() + "/good/here");
            server.server().adapters().sweep(Duration.ZERO);
            refused(server, 403, host.url() + "/elsewhere/a.zip");
            refused(server, 403, host.url() + "/good/../elsewhere/a.zip");
            refused(server, 403, host.url() + "/good/%2e%2e/elsewhere/a.zip");
            refused(server, 403, host.url() + "/goodx");
            refused(server, 403, other.url() + "/a.zip");
            refused(server, 403, host.url().replace("http:", "https:") + "/good/a.zip");
            refused(server, 403, host.url().replace("127.0.0.1", "localhost") + "/good/a.zip");
            refused(server, 403, host.url().replace("//", "//user@") + "/good/a.zip");
            refused(server, 403, "http://169.254.169.254/latest/meta-data");
            refused(server, 400, "https:nothing");
            refused(server, 400, host.url() + "/good/missing");
            String out = refused(server, 403, host.url() + "/good/out");
            Assert.assertTrue(out.contains("leads to \"127.0.0.1\""), out);
            refused(server, 403, host.url() + "/good/beside");
            refused(server, 403, host.url() + "/good/file");
            Assert.assertTrue(
                    refused(server, 502, host.url() + "/good/loop").contains("on and on"), "loop");
            refused(server, 400, host.url() + "/good/page.html");
            Assert.assertEquals(other.seen(), List.of());
        }
    }

    @Test
    public void testLimitsOfFetching() throws Exception {
        host.put("/a.zip", zip("rot13"));
        try (AdapterServer server =
                server(
                        List.of(host.url()),
                        sources ->
                                sources.optMaxBytes(1000).optFetchTime(Duration.ofMillis(500)))) {
            String large = refused(server, 413, host.url() + "/a.zip");
            Assert.assertEquals(large, "the source has more than the allowed 1000 bytes");
            String late = refused(server, 504, host.url() + "/stalls");
            Assert.assertEquals(late, "the source was not there within 500 ms");
        }
        String gone = host.url();
        host.close();
        try (AdapterServer server = server(List.of(gone), same -> same)) {
            refused(server, 502, gone + "/a.zip");
        }
    }

    @Test
    public void testHub() throws Exception {
        String commit = "0123456789abcdef0123456789abcdef01234567";
        String description =
                "{\"id\":\"org/name\",\"sha\":\""
                        + commit
                        + "\",\"siblings\":[{\"rfilename\":\"README.md\"},"
                        + "{\"rfilename\":\"checkpoint-1/adapter_model.safetensors\"},"
                        + "{\"rfilename\":\"../adapter_config.json\"},"
                        + "{\"rfilename\":\"adapter_config.json\"},"
                        + "{\"rfilename\":\"adapter_model.safetensors\"}]}";
        for (String revision : List.of("main", "v1", "refs/pr/1")) {
            host.put(
                    "/api/models/org/name/revision/" + revision,
                    description.getBytes(StandardCharsets.UTF_8));
        }
        String resolved = "/org/name/resolve/" + commit + '/';
        host.put(resolved + FILES.get(0), file("rot13", FILES.get(0)));
        host.redirect(resolved + FILES.get(1), other.url() + "/large");
        other.put("/large", file("rot13", FILES.get(1)));
        host.put(
                "/api/models/org/broken/revision/main",
                "{\"sha\":\"../x\"}".getBytes(StandardCharsets.UTF_8));
        host.put(
                "/api/models/org/empty/revision/main",
                ("{\"sha\":\"" + commit + "\",\"siblings\":[]}").getBytes(StandardCharsets.UTF_8));
        UnaryOperator<SourceOptions.Builder> hub =
                sources -> sources.optHub(host.uri()).optHubToken("secret");
        try (AdapterServer server = server(List.of("hf:org", other.url()), hub)) {
            register(server, "hf:org/name");
            register(server, "hf:org/name@v1");
            register(server, "hf:org/name@refs/pr/1");
            server.server().adapters().sweep(Duration.ZERO);
            // the token is told to the hub alone
            Assert.assertTrue(
                    host.seen().stream().allMatch(s -> s.endsWith("Bearer secret")), "in");
            Assert.assertTrue(other.seen().stream().allMatch(s -> s.endsWith(" null")), "out");
            refused(server, 403, "hf:other/name");
            refused(server, 403, "hf:org2/name");
            refused(server, 400, "hf:org");
            refused(server, 400, "hf:org/name@../x");
            refused(server, 400, "hf:org/name/../x");
            refused(server, 400, "hf:org/name@v2");
            refused(server, 502, "hf:org/broken");
            refused(server, 400, "hf:org/empty");
        }
        try (AdapterServer server = server(List.of("hf:org/name"), hub)) {
            refused(server, 403, "hf:org/empty");
            refused(server, 403, "hf:org/name");
        }
    }

    @Test
    public void testBuckets() throws Exception {
        for (String name : FILES) {
            host.put("/bucket/a/b/" + name, file("rot13", name));
        }
        host.put("/bucket/a/one.zip", zip("rot13"));
        host.put("/bucket/a/bad/../adapter_config.json", new byte[1]);
        System.setProperty("aws.accessKeyId", "key");
        System.setProperty("aws.secretAccessKey", "secret");
        try (AdapterServer server =
                server(List.of("s3://bucket/a"), sources -> sources.optS3Endpoint(host.uri()))) {
            register(server, "s3://bucket/a/b");
            register(server, "s3://bucket/a/b/");
            register(server, "s3://bucket/a/one.zip");
            server.server().adapters().sweep(Duration.ZERO);
            Assert.assertTrue(
                    host.seen().stream().allMatch(s -> s.contains("AWS4-HMAC-SHA256")), "signed");
            refused(server, 403, "s3://bucket/b");
            refused(server, 403, "s3://bucket/ab");
            refused(server, 403, "s3://bucket2/a/b");
            refused(server, 400, "s3://bucket");
            refused(server, 400, "s3://bucket/a/../b");
            refused(server, 400, "s3://bucket/a/nothing");
            refused(server, 400, "s3://bucket/a/nothing.zip");
            refused(server, 400, "s3://bucket/a/bad");
        } finally {
            System.clearProperty("aws.accessKeyId");
            System.clearProperty("aws.secretAccessKey");
        }
        System.setProperty("aws.accessKeyId", "key");
        System.setProperty("aws.secretAccessKey", "secret");
        try (AdapterServer server =
                server(
                        List.of("s3://bucket"),
                        sources -> sources.optS3Endpoint(host.uri()).optMaxFiles(1))) {
            refused(server, 413, "s3://bucket/a/b");
        } finally {
            System.clearProperty("aws.accessKeyId");
            System.clearProperty("aws.secretAccessKey");
        }
    }

    @Test
    public void testWrongPolicies() {
        for (String entry :
                List.of(
                        "relative/path",
                        "http://example.org",
                        "https://user@example.org",
                        "https://",
                        "https://example.org?x=1",
                        "s3://",
                        "s3://BUCKET",
                        "hf:",
                        "hf:a/b/c",
                        "hf:../x",
                        "ftp://example.org")) {
            LoraConfigurationException refused =
                    Assert.expectThrows(
                            LoraConfigurationException.class,
                            () -> SourcePolicy.of(List.of(entry)));
            Assert.assertTrue(refused.getMessage().contains("allowed source"), entry);
        }
        SourcePolicy.of(
                List.of("https://example.org", "https://example.org:8443/x", "http://[::1]:80"));
    }
}
