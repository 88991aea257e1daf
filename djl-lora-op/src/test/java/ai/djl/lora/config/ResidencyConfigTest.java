/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.cache.HostPinning;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.memory.MemoryOptions;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
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
                    "  pinned: true",
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
                    "  layers: {offload: 0.55, restore: 0.45}",
                    "  activations: {steps: 12, percentile: 0.9, factor: 2}",
                    "unavailable: {tries: 4, backoff: 0s, previousRevision: true, base: true}",
                    "registry: {directory: registry, maxRevisions: 3, compactionBytes: 64KiB,",
                    "  statisticsInterval: 5s, halfLife: 2h}",
                    "watch: {directory: /adapters, settleTime: 1s, scanInterval: 5s, retryAfter: 2m}",
                    "warmStart: true",
                    "adapters:",
                    "- {name: a, source: files/a, priority: 2, tenant: t, pinned: true,",
                    "   metadata: {note: x}, unavailable: {tries: 2, base: false}}",
                    "- {name: b, source: /files/b}");

    @Test
    public void everyKeyReachesItsOption() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            ResidencyConfig config = ResidencyConfig.read(temp.write("residency.yaml", WHOLE));
            StoreOptions options = config.getOptions();
            Assert.assertEquals(
                    options.getDevice(), new TierOptions(8, OptionalLong.of(3 << 20), "lru"));
            Assert.assertFalse(options.isHostEnabled());
            Assert.assertEquals(options.getHostPinning(), HostPinning.TRUE);
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
                            0.55,
                            0.45,
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
            // what an adapter does not say of its own policy is as the file says for all
            Assert.assertEquals(
                    first.settings().getUnavailable().orElseThrow(),
                    new UnavailablePolicy(2, Duration.ZERO, true, false));
            Assert.assertTrue(config.getAdapters().get(1).settings().getUnavailable().isEmpty());
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
            {
                "host: {pinned: maybe}",
                "1: host.pinned is \"maybe\"; allowed is one of auto, true, false"
            },
            {"host: {compression: {codec: rar}}", "1: host.compression.codec is \"rar\"; allowed"},
            {"moves: {loadTimeout: 5}", "1: moves.loadTimeout is \"5\"; allowed is a time such as"},
            {"moves: {loadTimeout: {}}", "1: moves.loadTimeout must be a time such as"},
            {"cleanup: {age: 0s}", "1: cleanup.age is \"0s\"; allowed is a time such as"},
            {"memory: {pressure: {soft: 2}}", "1: memory.pressure.soft is \"2\"; allowed is a"},
            {
                "memory:\n  pressure: {soft: 0.85}",
                "2: memory.pressure.soft is 0.85; it must be below memory.pressure.hard, which is"
                        + " 0.8"
            },
            {"memory: {pressure:\n  {hard: 0.65}}", "2: memory.pressure.soft is 0.7; it must be"},
            {"memory: {pressure: {restore: 0}}", "1: memory.pressure.restore is \"0\"; allowed"},
            {
                "memory: {alerts: {warning: 0.95}}",
                "1: memory.alerts.warning is 0.95; it must be at"
            },
            {"memory: {alerts: {hysteresis: 0.8}}", "1: memory.alerts.hysteresis is 0.8; it must"},
            {"memory: {layers: {restore: 0.8}}", "1: memory.layers.restore is 0.8; it must be"},
            {"memory: {activations: {percentile: NaN}}", "1: memory.activations.percentile is"},
            {"memory: {sampleInterval: 2d}", "1: memory.sampleInterval is \"2d\"; allowed is a"},
            {
                "moves: {queue: 7}\nquarantine:\n  retryAfter: 1d",
                "3: quarantine.retryAfter is 1d; it must be at most quarantine.longestRetry, which"
                        + " is 5m"
            },
            {"quarantine: {longestRetry: 500ms}", "1: quarantine.retryAfter is 1s; it must be"},
            {"cleanup: {age: 10001d}", "1: cleanup.age is \"10001d\"; allowed is a time such as"},
            {"unavailable: {backoff: 2d}", "1: unavailable.backoff is \"2d\"; allowed is a time"},
            {"unavailable: {tries: 0}", "1: unavailable.tries is \"0\"; allowed is a whole"},
            {"watch: {settleTime: 1s}", "1: watch.directory is missing"},
            {"watch: {directory: a, settleTime: 2h}", "1: watch.settleTime is \"2h\"; allowed is"},
            {"watch: {directory: ''}", "1: watch.directory is \"\"; allowed is a text"},
            {
                "registry: {statisticsInterval: 5s}",
                "1: registry.statisticsInterval needs registry.directory"
            },
            {
                "preset: production\nwarmStart: true",
                "2: warmStart needs registry.directory, where is kept what was asked for"
            },
            {
                "registry: {directory: a, statisticsInterval: 5ms}",
                "1: registry.statisticsInterval: "
            },
            {"adapters: {a: b}", "1: adapters must be a list, found a mapping"},
            {"adapters:\n- {name: a}", "2: adapters[0].source is missing"},
            {"adapters:\n- {source: a}", "2: adapters[0].name is missing"},
            {"adapters:\n-\n", "2: adapters[0] must be a mapping, found \"\""},
            {
                "adapters:\n- {name: a, source: s}\n- {name: a, source: s}",
                "3: adapters[1].name is \"a\", as another adapter's"
            },
            {"adapters:\n- {name: ' a', source: s}", "2: adapters[0].name: the name \" a\""},
            {
                "adapters:\n- {name: a, source: s, metadata: {a: [1]}}",
                "2: adapters[0].metadata.a must be a text, found a list"
            },
            {
                "adapters:\n- {name: a, source: s, metadata: {a: b, a: c}}",
                "2: adapters[0].metadata.a is given twice"
            },
            {
                "adapters:\n- {name: a, source: s, unavailable: {trys: 2}}",
                "2: unknown key \"adapters[0].unavailable.trys\"; nearest are tries, "
            },
            {"[a]: b", "1: a key in the file is a list"},
            {"- a", "1: the file must be a mapping, found a list"},
            {"a: b\n---\na: c", "2: but found another document"},
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
            List<String> lines =
                    List.of(
                            "preset: testing",
                            "device: {adapters: none}",
                            "host: {bytes: 12 apples}",
                            "moves: {loadTimeout: 5}",
                            "quarantine: {retryAfter: 10m}",
                            "cleanup: {age: 0s}",
                            "prefetch: {intervall: 1s}",
                            "memory: {alerts: {warning: 0.95}, pressure: {soft: 2, hard: 0.1}}",
                            "watch: {settleTime: 1s}",
                            "warmStart: maybe");
            Path file = temp.write("residency.yaml", String.join("\n", lines));
            List<String> told = ResidencyConfig.check(file);
            // line 8 has two: the order of hard and critical holds, and that of soft is not judged
            Assert.assertEquals(
                    told.stream().map(line -> line.substring(0, line.indexOf(": "))).toList(),
                    Stream.of(1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10).map(n -> file + ":" + n).toList());
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> ResidencyConfig.read(file));
            Assert.assertEquals(
                    e.getMessage(), told.get(0) + "; 10 more, see 'djl-lora config check'");
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

    /** What the table says is left to the defaults, said in a file, makes no difference. */
    @Test
    public void documentationHasTheDefaults() throws IOException {
        Pattern row =
                Pattern.compile("^\\| `([A-Za-z.]+)` \\|.*\\| (?:`([^`]+)`|([0-9.]+))[^|]*\\|$");
        String text = Files.readString(Path.of("../docs/residency.md"));
        // what has no meaning without these two needs them
        String needed = "registry: {directory: r}\nwatch: {directory: w}\n";
        int rows = 0;
        try (TempDirectory temp = new TempDirectory()) {
            List<Object> defaults = values(temp, needed);
            for (String line : text.substring(text.indexOf("## The file")).lines().toList()) {
                Matcher matcher = row.matcher(line);
                if (!matcher.matches()) {
                    continue;
                }
                String value = matcher.group(2) == null ? matcher.group(3) : matcher.group(2);
                Assert.assertEquals(
                        values(temp, with(needed, matcher.group(1), value)), defaults, line);
                rows++;
            }
            Assert.assertNotEquals(values(temp, with(needed, "moves.queue", "99")), defaults);
        }
        // all but the two directories and the list of adapters
        Assert.assertEquals(rows, ResidencyConfig.keys().size() - 3);
    }

    private static String with(String file, String key, String value) {
        String[] path = key.split("\\.");
        String text = path[path.length - 1] + ": " + value;
        for (int i = path.length - 2; i > 0; i--) {
            text = path[i] + ": {" + text + "}";
        }
        if (path.length == 1) {
            return file + text;
        }
        String begin = path[0] + ": {";
        return file.contains(begin)
                ? file.replace(begin, begin + text + ", ")
                : file + begin + text + "}";
    }

    private static List<Object> values(TempDirectory temp, String yaml) throws IOException {
        ResidencyConfig config = ResidencyConfig.read(temp.write("residency.yaml", yaml));
        List<Object> values = new ArrayList<>();
        values.add(config.isWarmStart());
        values.add(config.getWatched());
        for (Object options : List.of(config.getOptions(), config.getRegistryOptions())) {
            Arrays.stream(options.getClass().getMethods())
                    .filter(method -> method.getDeclaringClass().equals(options.getClass()))
                    .filter(method -> method.getParameterCount() == 0)
                    .filter(method -> !Modifier.isStatic(method.getModifiers()))
                    // made anew for each, and not of the file
                    .filter(method -> method.getReturnType() != EvictionStrategies.class)
                    .sorted(Comparator.comparing(Method::getName))
                    .forEach(method -> values.add(method.getName() + " " + get(method, options)));
        }
        return values;
    }

    private static Object get(Method method, Object options) {
        try {
            return method.invoke(options);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
