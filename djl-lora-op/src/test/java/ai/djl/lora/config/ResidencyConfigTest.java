/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.memory.MemoryOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class ResidencyConfigTest {

    private static final String WHOLE =
            String.join(
                    "\n",
                    "preset: development",
                    "device: {adapters: 8, bytes: 3MiB, strategy: lru}",
                    "host:",
                    "  enabled: false",
                    "  adapters: 80",
                    "  bytes: 2GiB",
                    "  strategy: adaptive",
                    "  compression: {codec: int8, after: 2m, prunedShare: 0.25}",
                    "moves: {loadWorkers: 3, offloadWorkers: 5, queue: 7, loadTimeout: 4s,",
                    "  offloadTimeout: 6s, acquireTimeout: 1500ms}",
                    "quarantine: {retryAfter: 2s, longestRetry: 1h}",
                    "cleanup: {enabled: true, interval: 10s, age: 1d}",
                    "prefetch: {enabled: true, interval: 50ms, count: 9}",
                    "memory:",
                    "  monitoring: true",
                    "  sampleInterval: 2s",
                    "  historySamples: 11",
                    "  alerts: {warning: 0.5, critical: 0.6, hysteresis: 0.1}",
                    "  pressure: {restore: 0.1, soft: 0.2, hard: 0.3, critical: 0.4}",
                    "  activations: {steps: 12, percentile: 0.9, factor: 2}",
                    "unavailable: {tries: 4, backoff: 0s, previousRevision: true, base: true}",
                    "registry: {directory: registry, maxRevisions: 3, compactionBytes: 64KiB,",
                    "  statisticsInterval: 5s, halfLife: 2h}",
                    "watch: {directory: /adapters, settleTime: 1s, scanInterval: 5s, retryAfter: 2m}",
                    "warmStart: true",
                    "adapters:",
                    "- {name: a, source: files/a, priority: 2, tenant: t, pinned: true,",
                    "   metadata: {note: x}}",
                    "- {name: b, source: /files/b}");

    @Test
    public void everyKeyReachesItsOption() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            ResidencyConfig config = ResidencyConfig.read(temp.write("residency.yaml", WHOLE));
            StoreOptions options = config.getOptions();
            Assert.assertEquals(
                    options.getDevice(), new TierOptions(8, OptionalLong.of(3 << 20), "lru"));
            Assert.assertFalse(options.isHostEnabled());
            Assert.assertEquals(
                    options.getHost(), new TierOptions(80, OptionalLong.of(2L << 30), "adaptive"));
            Assert.assertEquals(options.getCompression(), Compression.INT8);
            Assert.assertEquals(options.getCompressAfter(), Duration.ofMinutes(2));
            Assert.assertEquals(options.getPrunedShare(), 0.25);
            Assert.assertEquals(options.getLoadWorkers(), 3);
            Assert.assertEquals(options.getOffloadWorkers(), 5);
            Assert.assertEquals(options.getMoveQueue(), 7);
            Assert.assertEquals(options.getLoadTimeout(), Duration.ofSeconds(4));
            Assert.assertEquals(options.getOffloadTimeout(), Duration.ofSeconds(6));
            Assert.assertEquals(options.getAcquireTimeout(), Duration.ofMillis(1500));
            Assert.assertEquals(options.getRetryAfter(), Duration.ofSeconds(2));
            Assert.assertEquals(options.getLongestRetry(), Duration.ofHours(1));
            Assert.assertTrue(options.isCleanupEnabled());
            Assert.assertEquals(options.getCleanupInterval(), Duration.ofSeconds(10));
            Assert.assertEquals(options.getCleanupAge(), Duration.ofDays(1));
            Assert.assertTrue(options.isPrefetchEnabled());
            Assert.assertEquals(options.getPrefetchInterval(), Duration.ofMillis(50));
            Assert.assertEquals(options.getPrefetchCount(), 9);
            Assert.assertTrue(options.isMonitoringEnabled());
            Assert.assertEquals(
                    options.getMemory(),
                    new MemoryOptions(
                            Duration.ofSeconds(2),
                            11,
                            0.5,
                            0.6,
                            0.1,
                            0.2,
                            0.3,
                            0.4,
                            0.1,
                            12,
                            0.9,
                            2));
            Assert.assertEquals(
                    options.getUnavailable(), new UnavailablePolicy(4, Duration.ZERO, true, true));
            Assert.assertEquals(
                    config.getRegistryDirectory().orElseThrow(), temp.path().resolve("registry"));
            Assert.assertEquals(config.getRegistryOptions().maxRevisions(), 3);
            Assert.assertEquals(config.getRegistryOptions().compactionBytes(), 64 << 10);
            Assert.assertEquals(
                    config.getRegistryOptions().statisticsInterval(), Duration.ofSeconds(5));
            Assert.assertEquals(config.getRegistryOptions().halfLife(), Duration.ofHours(2));
            Assert.assertEquals(
                    config.getWatched().orElseThrow(),
                    new ResidencyConfig.Watched(
                            Path.of("/adapters"),
                            Duration.ofSeconds(1),
                            Duration.ofSeconds(5),
                            Duration.ofMinutes(2)));
            Assert.assertTrue(config.isWarmStart());
            Assert.assertEquals(
                    config.getAdapters().stream().map(ResidencyConfig.Adapter::source).toList(),
                    List.of(temp.path().resolve("files/a"), Path.of("/files/b")));
            ResidencyConfig.Adapter first = config.getAdapters().get(0);
            Assert.assertEquals(first.name(), "a");
            Assert.assertEquals(first.settings().getPriority().orElseThrow(), 2.0);
            Assert.assertEquals(first.settings().getTenant().orElseThrow(), "t");
            Assert.assertEquals(first.settings().getPinned().orElseThrow(), Boolean.TRUE);
            Assert.assertEquals(first.settings().getMetadata(), Map.of("note", "x"));
        }
    }

    @Test
    public void emptyFileHasTheDefaults() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            ResidencyConfig config = ResidencyConfig.read(temp.write("residency.yaml", ""));
            StoreOptions defaults = StoreOptions.builder().build();
            Assert.assertEquals(config.getOptions().getDevice(), defaults.getDevice());
            Assert.assertEquals(config.getOptions().getHost(), defaults.getHost());
            Assert.assertEquals(config.getOptions().getMemory(), defaults.getMemory());
            Assert.assertEquals(config.getOptions().getUnavailable(), UnavailablePolicy.FAIL);
            Assert.assertTrue(config.getOptions().isMonitoringEnabled());
            Assert.assertTrue(config.getRegistryDirectory().isEmpty());
            Assert.assertTrue(config.getAdapters().isEmpty());
        }
    }

    @Test
    public void presetsGiveDefaults() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path file =
                    temp.write("residency.yaml", "preset: development\nprefetch: {enabled: true}");
            StoreOptions options = ResidencyConfig.read(file).getOptions();
            Assert.assertFalse(options.isMonitoringEnabled());
            Assert.assertTrue(options.isPrefetchEnabled());
            Assert.assertEquals(options.getCompression(), Compression.NONE);
        }
    }

    @DataProvider
    public Object[][] mistakes() {
        return new Object[][] {
            {"divice: {}", "1: unknown key \"divice\"; nearest are device, "},
            {"device: {adapters: 0}", "1: device.adapters is \"0\"; allowed is a whole number"},
            {"device: {adapters: many}", "1: device.adapters is \"many\"; allowed is a whole"},
            {"device: {bytes: 12 apples}", "1: device.bytes is \"12 apples\"; allowed is a size"},
            {"device: {bytes: 0}", "1: device.bytes is \"0\"; allowed is a size"},
            {"device: {bytes: 999999999TiB}", "1: device.bytes is \"999999999TiB\"; allowed"},
            {"device: {strategy: best}", "1: device.strategy is \"best\"; allowed is one of "},
            {"device: [1]", "1: device must be a mapping, found a list"},
            {"device: 3", "1: device must be a mapping, found \"3\""},
            {"host:\n  enabled: yes", "2: host.enabled is \"yes\"; allowed is true or false"},
            {"host: {compression: {codec: rar}}", "1: host.compression.codec is \"rar\"; allowed"},
            {"moves: {loadTimeout: 5}", "1: moves.loadTimeout is \"5\"; allowed is a time such as"},
            {"moves: {loadTimeout: {}}", "1: moves.loadTimeout must be a time such as"},
            {"cleanup: {age: 0s}", "1: cleanup.age is \"0s\"; allowed is a time such as"},
            {"memory: {pressure: {soft: 2}}", "1: memory.pressure.soft is \"2\"; allowed is a"},
            {"memory: {pressure: {soft: 0.95}}", "1: memory: softPressure is 0.95"},
            {"quarantine: {retryAfter: 1d}", "1: longestRetry is PT5M; it must be at least"},
            {"registry: {statisticsInterval: 5ms}", "1: registry.statisticsInterval: "},
            {"adapters: {a: b}", "1: adapters must be a list, found a mapping"},
            {"adapters:\n- {name: a}", "2: an adapter needs a name and a source"},
            {"adapters:\n- {name: a, source: s}\n- {name: a, source: s}", "3: adapter \"a\" is"},
            {"adapters:\n- {nom: a, name: a, source: s}", "2: unknown key \"adapters[0].nom\""},
            {"device: {adapters: 1}\ndevice: {adapters: 2}", "2: device is given twice"},
            {"device: {adapters: 1", "1: expected ',' or '}'"},
            {"device: !!javax.script.ScriptEngineManager []", "1: Global tag is not allowed: "},
        };
    }

    @Test(dataProvider = "mistakes")
    public void mistakesAreTold(String yaml, String message) throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path file = temp.write("residency.yaml", yaml);
            List<String> lines = ResidencyConfig.check(file);
            Assert.assertEquals(lines.size(), 1, lines.toString());
            Assert.assertTrue(lines.get(0).startsWith(file + ":" + message), lines.get(0));
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> ResidencyConfig.read(file));
            Assert.assertEquals(e.getMessage(), lines.get(0));
        }
    }

    @Test
    public void allMistakesAreToldAtOnce() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path file =
                    temp.write(
                            "residency.yaml",
                            "preset: x\ndevice: {adapters: x}\nhost: {bytes: x}\nwarmStart: x\ny: 1");
            Assert.assertEquals(ResidencyConfig.check(file).size(), 5);
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> ResidencyConfig.read(file));
            Assert.assertTrue(
                    e.getMessage().endsWith("; 4 more, see 'djl-lora config check'"),
                    e.getMessage());
        }
    }

    @Test
    public void missingFileIsTold() {
        List<String> lines = ResidencyConfig.check(Path.of("no/such.yaml"));
        Assert.assertEquals(lines.size(), 1);
        Assert.assertTrue(lines.get(0).startsWith("no/such.yaml: cannot be read: "), lines.get(0));
    }

    /** The table of the documentation has every key and no other. */
    @Test
    public void documentationHasEveryKey() throws IOException {
        Set<String> documented = new TreeSet<>();
        Pattern row = Pattern.compile("^\\| `([A-Za-z.]+)` \\|");
        String text = Files.readString(Path.of("../docs/residency.md"));
        for (String line : text.substring(text.indexOf("## The file")).lines().toList()) {
            Matcher matcher = row.matcher(line);
            if (matcher.find()) {
                documented.add(matcher.group(1));
            }
        }
        Assert.assertEquals(documented, new TreeSet<>(ResidencyConfig.keys()));
    }
}
