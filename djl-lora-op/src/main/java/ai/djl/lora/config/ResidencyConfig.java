/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.cache.HostPinning;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.json.Message;
import ai.djl.lora.memory.MemoryOptions;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.NameRules;
import ai.djl.lora.registry.RegistryOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Where a model's adapters are kept and how they move, as a YAML file says; docs/residency.md has
 * its keys. Nothing in a file is run, and {@link #check} tells every mistake at once.
 */
public final class ResidencyConfig {

    private static final int MOST = 1_000_000;
    private static final StoreOptions DEFAULTS = StoreOptions.builder().build();
    private static final Duration SOME = Duration.ofMillis(1);
    private static final Duration DAY = Duration.ofDays(1);
    private static final Duration MOST_DAYS = StoreOptions.LONGEST_TIME;

    private final StoreOptions options;
    private final Optional<Path> registryDirectory;
    private final RegistryOptions registryOptions;
    private final Optional<Watched> watched;
    private final boolean warmStart;
    private final List<Adapter> adapters;

    private ResidencyConfig(Parser parser) {
        options = parser.options;
        registryDirectory = Optional.ofNullable(parser.registryDirectory);
        registryOptions = parser.registryOptions;
        watched = Optional.ofNullable(parser.watched);
        warmStart = parser.warmStart;
        adapters = List.copyOf(parser.adapters);
    }

    /**
     * An adapter to register.
     *
     * @param name its name
     * @param source its folder or file
     * @param settings what is noted of it
     */
    public record Adapter(String name, Path source, AdapterSettings settings) {}

    /**
     * A directory whose adapters are registered as they appear.
     *
     * @param directory the directory
     * @param settleTime for how long an adapter must not have changed
     * @param scanInterval how often everything is looked at
     * @param retryAfter when one that was refused is tried again
     */
    public record Watched(
            Path directory, Duration settleTime, Duration scanInterval, Duration retryAfter) {}

    /**
     * Reads a file.
     *
     * @param file the file; paths in it are relative to its folder
     * @return the configuration
     * @throws LoraConfigurationException if it cannot be read or has mistakes, of which the message
     *     has the first; {@link #check} tells all
     */
    public static ResidencyConfig read(Path file) {
        Parser parser = new Parser(file);
        ConfigFile.read(file, parser::parse).refuse();
        return new ResidencyConfig(parser);
    }

    /**
     * Reads a section of a file that has others too, such as a server's.
     *
     * @param file the file; paths in it are relative to its folder
     * @param section the section's key
     * @return the configuration
     * @throws LoraConfigurationException if it cannot be read or the section has mistakes
     */
    public static ResidencyConfig read(Path file, String section) {
        Parser parser = new Parser(file);
        ConfigFile.read(file, root -> parser.parse(root.section(section))).refuse();
        return new ResidencyConfig(parser);
    }

    /**
     * Returns what is wrong with a file.
     *
     * @param file the file
     * @return the mistakes in the order of the file, one line each with the file's name and the
     *     line's number; none where it can be used
     */
    public static List<String> check(Path file) {
        return ConfigFile.read(file, new Parser(file)::parse).lines();
    }

    /**
     * Tells the mistakes of a section of a file that has others too.
     *
     * @param file the file
     * @param section the section
     */
    public static void check(Path file, ConfigSection section) {
        new Parser(file).parse(section);
    }

    /**
     * Returns every key that a file may have.
     *
     * @return the keys with those above them before a point, such as {@code device.bytes}
     */
    public static Set<String> keys() {
        return ConfigFile.keys(new Parser(Path.of("residency.yaml"))::parse);
    }

    /**
     * Returns how much a store may hold and how adapters are moved.
     *
     * @return the options
     */
    public StoreOptions getOptions() {
        return options;
    }

    /**
     * Returns where the registry is kept.
     *
     * @return the directory; empty where it is not kept
     */
    public Optional<Path> getRegistryDirectory() {
        return registryDirectory;
    }

    /**
     * Returns how the registry keeps its records.
     *
     * @return the options
     */
    public RegistryOptions getRegistryOptions() {
        return registryOptions;
    }

    /**
     * Returns which directory is watched.
     *
     * @return the directory; empty for none
     */
    public Optional<Watched> getWatched() {
        return watched;
    }

    /**
     * Returns whether what was asked for most before is loaded at the start.
     *
     * @return whether it is
     */
    public boolean isWarmStart() {
        return warmStart;
    }

    /**
     * Returns the adapters to register.
     *
     * @return the adapters in the order of the file
     */
    public List<Adapter> getAdapters() {
        return adapters;
    }

    /**
     * Opens the registry and a store for a model.
     *
     * @param context the model's context, which ends what is opened with itself
     * @return the store and what goes with it
     * @throws LoraConfigurationException if the registry cannot be opened
     */
    public Residency open(LoraContext context) {
        return new Residency(this, context);
    }

    /** Reads one file. */
    private static final class Parser {

        private final Path file;
        private final List<Adapter> adapters = new ArrayList<>();
        private final Set<String> names = new HashSet<>();
        private StoreOptions options;
        private Path registryDirectory;
        private RegistryOptions registryOptions;
        private Watched watched;
        private boolean warmStart;
        private UnavailablePolicy unavailable;

        Parser(Path file) {
            this.file = file;
        }

        void parse(ConfigSection section) {
            boolean[] development = new boolean[1];
            section.choice(
                    "preset",
                    List.of("development", "production"),
                    name -> development[0] = "development".equals(name));
            StoreOptions.Builder builder =
                    development[0] ? StoreOptions.development() : StoreOptions.production();
            Set<String> strategies = new EvictionStrategies().names();
            builder.optDevice(tier(section.section("device"), 100, strategies));
            host(section.section("host"), builder, strategies);
            moves(section.section("moves"), builder);
            quarantine(section.section("quarantine"), builder);
            cleanup(section.section("cleanup"), builder);
            prefetch(section.section("prefetch"), builder);
            memory(section.section("memory"), builder);
            unavailable = unavailable(section.section("unavailable"), UnavailablePolicy.FAIL);
            builder.optUnavailable(unavailable);
            registry(section.section("registry"));
            watch(section.section("watch"));
            section.flag("warmStart", value -> warmStart = value);
            section.sections("adapters").forEach(this::adapter);
            section.end();
            section.checkThat(
                    "warmStart",
                    !warmStart || registryDirectory != null,
                    "needs registry.directory, where is kept what was asked for");
            try {
                options = builder.build();
            } catch (LoraConfigurationException e) {
                // what the sections have not told in the file's words
                section.problem("", e.getMessage());
            }
        }

        private static TierOptions tier(ConfigSection section, int adapters, Set<String> names) {
            TierOptions options = tierOptions(section, adapters, names);
            section.end();
            return options;
        }

        private static TierOptions tierOptions(
                ConfigSection section, int adapters, Set<String> strategies) {
            int[] most = {adapters};
            long[] bytes = {0};
            String[] strategy = {EvictionStrategies.DEFAULT};
            section.integer("adapters", 1, MOST, value -> most[0] = value);
            section.size("bytes", value -> bytes[0] = value);
            section.choice("strategy", strategies, value -> strategy[0] = value);
            OptionalLong limit = bytes[0] == 0 ? OptionalLong.empty() : OptionalLong.of(bytes[0]);
            return new TierOptions(most[0], limit, strategy[0]);
        }

        private static void host(
                ConfigSection section, StoreOptions.Builder builder, Set<String> strategies) {
            section.flag("enabled", builder::optHostEnabled);
            section.choice(
                    "pinned",
                    Arrays.stream(HostPinning.values()).map(HostPinning::label).toList(),
                    name -> builder.optHostPinning(HostPinning.ofLabel(name)));
            builder.optHost(tierOptions(section, 1000, strategies));
            ConfigSection compression = section.section("compression");
            compression.choice(
                    "codec",
                    Arrays.stream(Compression.values()).map(Compression::label).toList(),
                    name -> builder.optCompression(Compression.ofLabel(name)));
            compression.time("after", SOME, MOST_DAYS, builder::optCompressAfter);
            compression.number("prunedShare", 0.01, 0.99, builder::optPrunedShare);
            compression.end();
            section.end();
        }

        private static void moves(ConfigSection section, StoreOptions.Builder builder) {
            section.integer("loadWorkers", 1, 1024, builder::optLoadWorkers);
            section.integer("offloadWorkers", 1, 1024, builder::optOffloadWorkers);
            section.integer("queue", 1, MOST, builder::optMoveQueue);
            section.time("loadTimeout", SOME, MOST_DAYS, builder::optLoadTimeout);
            section.time("offloadTimeout", SOME, MOST_DAYS, builder::optOffloadTimeout);
            section.time("acquireTimeout", SOME, MOST_DAYS, builder::optAcquireTimeout);
            section.end();
        }

        private static void quarantine(ConfigSection section, StoreOptions.Builder builder) {
            Duration[] times = {DEFAULTS.getRetryAfter(), DEFAULTS.getLongestRetry()};
            section.time("retryAfter", SOME, MOST_DAYS, value -> times[0] = value);
            section.time("longestRetry", SOME, MOST_DAYS, value -> times[1] = value);
            section.end();
            if (section.atMost("retryAfter", times[0], "longestRetry", times[1])) {
                builder.optRetryAfter(times[0]).optLongestRetry(times[1]);
            }
        }

        private static void cleanup(ConfigSection section, StoreOptions.Builder builder) {
            section.flag("enabled", builder::optCleanupEnabled);
            section.time("interval", SOME, MOST_DAYS, builder::optCleanupInterval);
            section.time("age", SOME, MOST_DAYS, builder::optCleanupAge);
            section.end();
        }

        private static void prefetch(ConfigSection section, StoreOptions.Builder builder) {
            section.flag("enabled", builder::optPrefetchEnabled);
            section.time("interval", SOME, MOST_DAYS, builder::optPrefetchInterval);
            section.integer("count", 1, MOST, builder::optPrefetchCount);
            section.end();
        }

        private static void memory(ConfigSection section, StoreOptions.Builder builder) {
            MemoryOptions.Builder memory = MemoryOptions.builder();
            section.flag("monitoring", builder::optMonitoringEnabled);
            section.time("sampleInterval", SOME, DAY, memory::optSampleInterval);
            section.integer("historySamples", 1, MOST, memory::optHistorySamples);
            boolean inOrder = alerts(section.section("alerts"), memory);
            inOrder &= pressure(section.section("pressure"), memory);
            inOrder &= layers(section.section("layers"), memory);
            activations(section.section("activations"), memory);
            section.end();
            if (inOrder) {
                builder.optMemory(memory.build());
            }
        }

        private static boolean alerts(ConfigSection section, MemoryOptions.Builder memory) {
            MemoryOptions defaults = MemoryOptions.defaults();
            double[] alerts = {
                defaults.warningAlert(), defaults.criticalAlert(), defaults.alertHysteresis()
            };
            section.share("warning", value -> alerts[0] = value);
            section.share("critical", value -> alerts[1] = value);
            section.number("hysteresis", 0, 1, value -> alerts[2] = value);
            section.end();
            memory.optAlerts(alerts[0], alerts[1], alerts[2]);
            boolean inOrder = section.atMost("warning", alerts[0], "critical", alerts[1]);
            inOrder &= section.below("hysteresis", alerts[2], "warning", alerts[0]);
            return inOrder;
        }

        private static boolean pressure(ConfigSection section, MemoryOptions.Builder memory) {
            MemoryOptions defaults = MemoryOptions.defaults();
            double[] levels = {
                defaults.restorePressure(),
                defaults.softPressure(),
                defaults.hardPressure(),
                defaults.criticalPressure()
            };
            section.share("restore", value -> levels[0] = value);
            section.share("soft", value -> levels[1] = value);
            section.share("hard", value -> levels[2] = value);
            section.share("critical", value -> levels[3] = value);
            section.end();
            memory.optPressure(levels[0], levels[1], levels[2], levels[3]);
            boolean inOrder = section.below("restore", levels[0], "soft", levels[1]);
            inOrder &= section.below("soft", levels[1], "hard", levels[2]);
            inOrder &= section.below("hard", levels[2], "critical", levels[3]);
            return inOrder;
        }

        private static boolean layers(ConfigSection section, MemoryOptions.Builder memory) {
            MemoryOptions defaults = MemoryOptions.defaults();
            double[] levels = {defaults.layerOffload(), defaults.layerRestore()};
            section.share("offload", value -> levels[0] = value);
            section.share("restore", value -> levels[1] = value);
            section.end();
            memory.optLayers(levels[0], levels[1]);
            return section.below("restore", levels[1], "offload", levels[0]);
        }

        private static void activations(ConfigSection section, MemoryOptions.Builder memory) {
            MemoryOptions defaults = MemoryOptions.defaults();
            int[] steps = {defaults.activationSteps()};
            double[] reserve = {defaults.activationPercentile(), defaults.activationFactor()};
            section.integer("steps", 1, MOST, value -> steps[0] = value);
            section.share("percentile", value -> reserve[0] = value);
            section.number("factor", 1, 100, value -> reserve[1] = value);
            section.end();
            memory.optActivations(steps[0], reserve[0], reserve[1]);
        }

        /** Reads a policy, of which the file may leave out what another one has. */
        private static UnavailablePolicy unavailable(
                ConfigSection section, UnavailablePolicy others) {
            int[] tries = {others.tries()};
            Duration[] backoff = {others.backoff()};
            boolean[] answers = {others.previousRevision(), others.base()};
            section.integer("tries", 1, UnavailablePolicy.MOST_TRIES, value -> tries[0] = value);
            section.time(
                    "backoff",
                    Duration.ZERO,
                    UnavailablePolicy.LONGEST_BACKOFF,
                    value -> backoff[0] = value);
            section.flag("previousRevision", value -> answers[0] = value);
            section.flag("base", value -> answers[1] = value);
            section.end();
            return new UnavailablePolicy(tries[0], backoff[0], answers[0], answers[1]);
        }

        private void registry(ConfigSection section) {
            RegistryOptions.Builder builder = RegistryOptions.builder();
            section.text("directory", value -> registryDirectory = resolve(value));
            section.integer("maxRevisions", 1, 64, builder::optMaxRevisions);
            section.size("compactionBytes", builder::optCompactionBytes);
            section.time(
                    "statisticsInterval", Duration.ZERO, MOST_DAYS, builder::optStatisticsInterval);
            section.time("halfLife", Duration.ofSeconds(1), MOST_DAYS, builder::optHalfLife);
            section.needs("compactionBytes", "directory");
            section.needs("statisticsInterval", "directory");
            section.end();
            registryOptions = builder.build();
        }

        private void watch(ConfigSection section) {
            Path[] directory = new Path[1];
            Duration[] times = {
                Duration.ofSeconds(2), Duration.ofSeconds(10), Duration.ofMinutes(1)
            };
            Duration least = Duration.ofMillis(10);
            section.text("directory", value -> directory[0] = resolve(value));
            section.time("settleTime", least, Duration.ofHours(1), value -> times[0] = value);
            section.time("scanInterval", least, DAY, value -> times[1] = value);
            section.time("retryAfter", least, DAY, value -> times[2] = value);
            section.require("directory");
            section.end();
            if (directory[0] != null) {
                watched = new Watched(directory[0], times[0], times[1], times[2]);
            }
        }

        private void adapter(ConfigSection section) {
            String[] name = new String[1];
            Path[] source = new Path[1];
            AdapterSettings.Builder settings = AdapterSettings.builder();
            section.text("name", value -> name[0] = NameRules.checkName("the name", value));
            section.text("source", value -> source[0] = resolve(value));
            section.number("priority", -1e9, 1e9, settings::optPriority);
            section.text("tenant", settings::optTenant);
            section.flag("pinned", settings::optPinned);
            section.texts("metadata", settings::optMetadata);
            ConfigSection own = section.section("unavailable");
            UnavailablePolicy policy = unavailable(own, unavailable);
            if (own.isPresent()) {
                settings.optUnavailable(policy);
            }
            section.require("name");
            section.require("source");
            section.end();
            section.checkThat(
                    "name",
                    name[0] == null || names.add(name[0]),
                    "is " + Message.quote(String.valueOf(name[0])) + ", as another adapter's");
            if (name[0] != null && source[0] != null) {
                adapters.add(new Adapter(name[0], source[0], settings.build()));
            }
        }

        private Path resolve(String path) {
            return file.toAbsolutePath().resolveSibling(path).normalize();
        }
    }
}
