/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.server.adapters.source.SourceOptions;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.testng.Assert;
import org.testng.annotations.Test;

/** What a server's file says of adapters' sources. */
public class SourceSectionTest {

    private static Path file(String text) throws IOException {
        Path file = Files.createTempDirectory("config").resolve("server.yaml");
        Files.writeString(file, text);
        return file;
    }

    @Test
    public void testEveryKey() throws Exception {
        Path file =
                file(
                        """
                        sources:
                          allow: [adapters, "https://example.org/lora", "s3://lora/p", "hf:org"]
                          folder: copies
                          bytes: 1GiB
                          files: 7
                          connectTime: 2s
                          time: 3m
                          hub: http://127.0.0.1:1
                          bucketEndpoint: https://s3.example.org
                          bucketRegion: eu-central-1
                        """);
        SourceOptions options = ServerConfig.read(file).sources();
        Path folder = file.resolveSibling("").toAbsolutePath().normalize();
        Assert.assertEquals(options.policy().folders(), List.of(folder.resolve("adapters")));
        Assert.assertEquals(options.folder(), Optional.of(folder.resolve("copies")));
        Assert.assertEquals(options.maxBytes(), 1L << 30);
        Assert.assertEquals(options.maxFiles(), 7);
        Assert.assertEquals(options.connectTime(), Duration.ofSeconds(2));
        Assert.assertEquals(options.fetchTime(), Duration.ofMinutes(3));
        Assert.assertEquals(options.hub(), URI.create("http://127.0.0.1:1"));
        Assert.assertEquals(options.s3Region(), Optional.of("eu-central-1"));
        Assert.assertEquals(
                options.s3Endpoint(), Optional.of(URI.create("https://s3.example.org")));
    }

    @Test
    public void testMistakes() throws Exception {
        List<String> lines =
                ServerConfig.check(
                        file(
                                """
                                sources:
                                  allow: ["http://example.org"]
                                  files: 0
                                  hub: http://example.org
                                  bucketEndpoint: "ftp://x"
                                  more: 1
                                """));
        Assert.assertEquals(lines.size(), 5, lines.toString());
        Assert.assertTrue(
                lines.get(0).contains("http is taken for this machine alone"), lines.get(0));
    }
}
