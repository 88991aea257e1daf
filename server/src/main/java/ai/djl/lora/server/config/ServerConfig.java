/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.ConfigFile;
import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.config.DeviceName;
import ai.djl.lora.config.ResidencyConfig;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.replica.ReplicaOptions;
import ai.djl.lora.server.security.SecurityOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a server serves, to whom and within which limits, as a YAML file says; docs/configuration.md
 * has its keys. Nothing in a file is run, and {@link #check} tells every mistake at once.
 */
public final class ServerConfig {

    /** The tokens of an answer where neither the file nor a request names a number. */
    public static final int DEFAULT_MAX_TOKENS = 256;

    private static final int DEFAULT_PORT = 8080;

    private static final List<String> LEVELS = List.of("trace", "debug", "info", "warn", "error");

    private final Path file;
    private final LoraServer.Builder builder = LoraServer.builder();
    private final EngineOptions.Builder engine = EngineOptions.builder();
    private final ReplicaSection replicas = new ReplicaSection();
    private final Map<String, Path> adapters = new LinkedHashMap<>();
    private String model;
    private String name;
    private String dtype;
    private String backend;
    private String adapterType;
    private String device;
    private String offloadLayers;
    private String residency;
    private String logLevel;
    private SourceOptions sources = SourceOptions.builder().build();
    private boolean accessLog;
    private boolean authenticating;
    private SamplingParameters sampling = SamplingParameters.greedy(DEFAULT_MAX_TOKENS);

    private ServerConfig(Path file) {
        this.file = file;
        builder.optPort(DEFAULT_PORT).optAccessLog(false);
    }

    /**
     * Returns what holds where there is no file.
     *
     * @return a configuration that says nothing
     */
    public static ServerConfig defaults() {
        return new ServerConfig(Path.of("server.yaml"));
    }

    /**
     * Reads a file.
     *
     * @param file the file; paths in it are relative to its folder
     * @return the configuration
     * @throws LoraConfigurationException if it cannot be read or has mistakes, of which the message
     *     has the first; {@link #check} tells all
     */
    public static ServerConfig read(Path file) {
        ServerConfig config = new ServerConfig(file);
        ConfigFile.read(file, config::parse).refuse();
        return config;
    }

    /**
     * Returns what is wrong with a file.
     *
     * @param file the file
     * @return the mistakes in the order of the file, one line each with the file's name and the
     *     line's number; none where it can be used
     */
    public static List<String> check(Path file) {
        return ConfigFile.read(file, new ServerConfig(file)::parse).lines();
    }

    /**
     * Returns whether a file is meant for a server, and not for adapters' residency alone: it has a
     * key that the other kind does not have.
     *
     * @param file the file
     * @return whether it is; false where it cannot be read
     */
    public static boolean isServerFile(Path file) {
        Set<String> others = ResidencyConfig.keys();
        boolean[] server = new boolean[1];
        ConfigFile.read(
                file,
                root ->
                        keys().stream()
                                .map(key -> key.split("\\.", 2)[0])
                                .filter(key -> !"adapters".equals(key))
                                .filter(
                                        key ->
                                                others.stream()
                                                        .noneMatch(
                                                                other ->
                                                                        other.split("\\.", 2)[0]
                                                                                .equals(key)))
                                .forEach(key -> server[0] |= root.has(key)));
        return server[0];
    }

    /**
     * Returns every key that a file may have.
     *
     * @return the keys with those above them before a point, such as {@code limits.body}; of the
     *     items of lists, with {@code []} behind the list's
     */
    public static Set<String> keys() {
        return ConfigFile.keys(new ServerConfig(Path.of("server.yaml"))::parse);
    }

    private void parse(ConfigSection root) {
        root.text("model", value -> model = isUrl(value) ? value : resolve(value).toString());
        root.text("name", value -> name = value);
        root.choice("dtype", List.of("float32", "float16", "bfloat16"), value -> dtype = value);
        root.text("device", value -> device = DeviceName.checked(value));
        root.text("offloadLayers", value -> offloadLayers = checkedLayers(value));
        root.text("backend", value -> backend = value);
        root.choice("adapterDtype", List.of("model", "int8"), value -> adapterType = value);
        root.texts(
                "adapters",
                values -> values.forEach((key, folder) -> adapters.put(key, resolve(folder))));
        residency(root);
        root.text("host", builder::optHost);
        root.integer("port", 0, 65_535, builder::optPort);
        root.text("managementHost", builder::optManagementHost);
        root.integer("managementPort", 0, 65_535, builder::optManagementPort);
        SecurityOptions security = new SecuritySections(this::resolve).parse(root);
        authenticating = security.isAuthenticating();
        builder.optSecurity(security);
        LimitSections.connections(root.section("limits")).ifPresent(builder::optLimits);
        inference(root.section("inference"));
        root.section("metrics", this::metrics);
        root.section("log", this::log);
        root.section("drain", this::drain);
        root.section("sampling", this::sampling);
        root.section("engine", section -> EngineSection.parse(section, engine));
        replicas.parse(root);
        root.section("cache", this::cache);
        RoutingSection.parse(root.section("routing")).ifPresent(builder::optRouting);
        SourceSection.parse(root.section("sources"), this::resolve).ifPresent(this::setSources);
        root.end();
    }

    private static boolean isUrl(String value) {
        return value.matches("[A-Za-z][A-Za-z0-9+.-]+:.*");
    }

    private Path resolve(String path) {
        return file.toAbsolutePath().resolveSibling(path).normalize();
    }

    private void residency(ConfigSection root) {
        if (root.isSection("residency")) {
            ResidencyConfig.check(file, root.section("residency"));
            residency = file.toAbsolutePath() + "#residency";
            return;
        }
        root.text(
                "residency",
                value -> {
                    Path other = resolve(value);
                    if (!Files.isReadable(other)) {
                        throw new LoraConfigurationException(other + " cannot be read");
                    }
                    residency = other.toString();
                });
    }

    private void inference(ConfigSection section) {
        InferenceLimits defaults = InferenceLimits.DEFAULTS;
        int[] most = {defaults.promptTokens(), defaults.newTokens(), defaults.answers()};
        section.integer("promptTokens", 1, Integer.MAX_VALUE, value -> most[0] = value);
        section.integer("newTokens", 1, Integer.MAX_VALUE, value -> most[1] = value);
        section.integer("answers", 1, 128, value -> most[2] = value);
        section.end();
        builder.optInferenceLimits(new InferenceLimits(most[0], most[1], most[2], name -> {}));
    }

    private void metrics(ConfigSection section) {
        section.flag("open", builder::optMetricsOpen);
        section.integer("adapters", 0, 100_000, builder::optMetricAdapters);
    }

    private void log(ConfigSection section) {
        section.choice("level", LEVELS, value -> logLevel = value);
        section.flag("access", value -> accessLog = value);
        builder.optAccessLog(accessLog);
    }

    private void drain(ConfigSection section) {
        Duration hour = Duration.ofHours(1);
        section.time("time", Duration.ZERO, hour, builder::optDrainTime);
        section.time("pause", Duration.ZERO, hour, builder::optDrainPause);
    }

    private void sampling(ConfigSection section) {
        SamplingParameters.Builder values =
                SamplingParameters.builder().maxNewTokens(DEFAULT_MAX_TOKENS);
        section.integer("maxTokens", 1, Integer.MAX_VALUE, values::maxNewTokens);
        section.number("temperature", 0, 100, values::temperature);
        section.number("topP", 0, 1, values::topP);
        section.integer("topK", 0, Integer.MAX_VALUE, values::topK);
        section.number("minP", 0, 1, values::minP);
        section.number("repetitionPenalty", 0.01, 100, values::repetitionPenalty);
        section.number("presencePenalty", -2, 2, values::presencePenalty);
        section.number("frequencyPenalty", -2, 2, values::frequencyPenalty);
        try {
            sampling = values.build();
        } catch (LoraConfigurationException e) {
            section.problem("", e.getMessage());
        }
    }

    private void setSources(SourceOptions options) {
        sources = options;
        builder.optAdapterSources(options);
    }

    private void cache(ConfigSection section) {
        boolean[] enabled = new boolean[1];
        long[] bytes = {64L << 20};
        Duration[] time = {Duration.ofHours(1)};
        section.flag("enabled", value -> enabled[0] = value);
        section.size("bytes", value -> bytes[0] = value);
        section.time("time", Duration.ofSeconds(1), Duration.ofDays(30), value -> time[0] = value);
        if (enabled[0]) {
            builder.optResponseCache(bytes[0], time[0]);
        }
    }

    /**
     * Returns a builder of the server that the file describes, without its model.
     *
     * @return the builder, the same with each call
     */
    public LoraServer.Builder builder() {
        return builder;
    }

    /**
     * Returns what the engine is to be like.
     *
     * @return a builder of its options, the same with each call
     */
    public EngineOptions.Builder engine() {
        return engine;
    }

    /**
     * Sets how many engines answer, whatever the file says.
     *
     * @param value the number of engines
     * @return this configuration
     */
    public ServerConfig setReplicas(int value) {
        replicas.setCount(value);
        return this;
    }

    /**
     * Sets which engine gets a request, whatever the file says.
     *
     * @param value {@code least_loaded} or {@code adapter_affine}
     * @return this configuration
     * @throws LoraConfigurationException if it is neither
     */
    public ServerConfig setBalancing(String value) {
        replicas.setStrategy(value);
        return this;
    }

    /**
     * Returns how many engines answer, and which of them gets a request.
     *
     * @return the options, for one model
     * @throws LoraConfigurationException if the number that was set is not allowed
     */
    public ReplicaOptions replicas() {
        return replicas.options();
    }

    /**
     * Returns where the base model is.
     *
     * @return a folder or a URL; empty where the file does not say
     */
    public Optional<String> model() {
        return Optional.ofNullable(model);
    }

    /**
     * Returns the name by which requests ask for the base model.
     *
     * @return the name; empty where the file does not say
     */
    public Optional<String> name() {
        return Optional.ofNullable(name);
    }

    /**
     * Returns the arguments with which the model is loaded.
     *
     * @return the values by the names that {@code Criteria} takes; those of which the file says
     *     something
     */
    public Map<String, String> modelArguments() {
        Map<String, String> arguments = new LinkedHashMap<>();
        put(arguments, "dtype", dtype);
        put(arguments, DeviceName.ARGUMENT, device);
        put(arguments, LlamaBlockFactory.OFFLOAD_LAYERS, offloadLayers);
        put(arguments, "backend", backend);
        put(arguments, "adapter_dtype", adapterType);
        put(arguments, "residency", residency);
        return arguments;
    }

    private static String checkedLayers(String value) {
        LlamaBlockFactory.offloadLayers(value);
        return value;
    }

    private static void put(Map<String, String> arguments, String name, String value) {
        if (value != null) {
            arguments.put(name, value);
        }
    }

    /**
     * Returns the adapters to register.
     *
     * @return the folders by name, in the order of the file
     */
    public Map<String, Path> adapters() {
        return adapters;
    }

    /**
     * Returns from where adapters may be registered while the server runs.
     *
     * @return the sources
     */
    public SourceOptions sources() {
        return sources;
    }

    /**
     * Returns the sampling of requests that name none.
     *
     * @return the parameters
     */
    public SamplingParameters sampling() {
        return sampling;
    }

    /**
     * Returns how much is logged.
     *
     * @return {@code trace}, {@code debug}, {@code info}, {@code warn} or {@code error}; empty
     *     where the file does not say
     */
    public Optional<String> logLevel() {
        return Optional.ofNullable(logLevel);
    }

    /**
     * Returns whether requests are noted.
     *
     * @return whether they are, on the logger {@code ai.djl.lora.access}
     */
    public boolean isAccessLog() {
        return accessLog;
    }

    /**
     * Returns whether callers have to show a key or a token.
     *
     * @return whether they have to
     */
    public boolean isAuthenticating() {
        return authenticating;
    }

    /**
     * What a file says of logs.
     *
     * @param level how much is logged; empty where the file does not say
     * @param access whether requests are noted
     */
    public record Logs(Optional<String> level, boolean access) {}

    /**
     * Reads of a file how much is logged, and nothing else, so that it holds before anything is
     * logged.
     *
     * @param file the file
     * @return what it says; nothing where it cannot be read
     */
    public static Logs logs(Path file) {
        ServerConfig config = new ServerConfig(file);
        ConfigFile.read(file, root -> config.log(root.section("log")));
        return new Logs(config.logLevel(), config.accessLog);
    }
}
