/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.config.ServerConfig;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.replica.ReplicaOptions;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Serves a model and its adapters over HTTP until the process is told to end. */
@Command(
        name = "serve",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Serves a model and its adapters over HTTP.",
            "",
            "Prints 'Listening on URL' when it takes requests. On SIGTERM or SIGINT it takes no"
                    + " more, waits for those that were taken, and ends.",
            ""
        })
final class ServeCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description =
                    "A YAML file that says what is served, to whom and within which limits; see"
                            + " docs/configuration.md. Options override it.")
    private Path file;

    @Option(
            names = "--model",
            paramLabel = "DIR_OR_URL",
            description =
                    "The base model: a folder in Hugging Face layout (config.json, safetensors,"
                            + " tokenizer.json), or a URL such as djl-lora://demo. Needed here or in"
                            + " the file.")
    private String modelSource;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description =
                    "The name by which requests ask for the base model. Default: that of its"
                            + " folder.")
    private String name;

    @Option(
            names = "--adapter",
            paramLabel = "NAME=DIR",
            converter = AdapterSource.Converter.class,
            description =
                    "An adapter's folder, as PEFT writes it, and the name by which requests ask for"
                            + " it. May be given many times.")
    private List<AdapterSource> adapters = List.of();

    @Option(
            names = "--allow-source",
            paramLabel = "SOURCE",
            description =
                    "From where adapters may be registered while the server runs: a folder,"
                            + " https://HOST[/PATH], s3://BUCKET[/PREFIX], hf:ORGANISATION[/NAME]. May"
                            + " be given many times. The folders of --adapter are allowed too; nothing"
                            + " else is by default.")
    private List<String> allowedSources = List.of();

    @Option(
            names = "--adapter-folder",
            paramLabel = "DIR",
            description =
                    "Where copies of fetched and uploaded adapters are kept. Default: a temporary"
                            + " folder, deleted at the end.")
    private Path adapterFolder;

    @Option(
            names = "--host",
            paramLabel = "HOST",
            description =
                    "The address to listen on. Default: 127.0.0.1, which only this machine reaches;"
                            + " any other needs keys, which the file sets.")
    private String host;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            description = "The port to listen on; 0 is a free one. Default: 8080.")
    private Integer port;

    @Option(
            names = "--management-host",
            paramLabel = "HOST",
            description =
                    "The address on which management has a port of its own. Default: 127.0.0.1.")
    private String managementHost;

    @Option(
            names = "--management-port",
            paramLabel = "PORT",
            description =
                    "The port of management; 0 is a free one. Default: none of its own where --host"
                            + " is this machine alone, otherwise the next one after --port.")
    private Integer managementPort;

    @Option(
            names = "--replicas",
            paramLabel = "N",
            description =
                    "How many engines answer, side by side over the one model that is loaded;"
                            + " processor threads and memory of keys and values are divided among"
                            + " them. Default: 1.")
    private Integer replicas;

    @Option(
            names = "--balancing",
            paramLabel = "STRATEGY",
            description =
                    "Which engine gets a request that belongs to no session: least_loaded, or"
                            + " adapter_affine, which keeps an adapter's requests together. Default:"
                            + " least_loaded.")
    private String balancing;

    @Option(
            names = "--log-level",
            paramLabel = "LEVEL",
            description =
                    "How much is logged: trace, debug, info, warn or error. Default: warn, and the"
                            + " audit log of management.")
    private LogLevel logLevel;

    @Option(
            names = "--access-log",
            description = "Log each request, as a line of JSON without its text.")
    private boolean accessLog;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws Exception {
        // before anything is loaded that has a logger
        LogLevel.apply(logLevel, accessLog, file);
        ServerConfig config = file == null ? ServerConfig.defaults() : ServerConfig.read(file);
        LoraServer.Builder builder = override(config.builder());
        String source =
                Optional.ofNullable(modelSource)
                        .or(config::model)
                        .orElseThrow(
                                () ->
                                        new LoraConfigurationException(
                                                "no model is given; give --model, or model in the"
                                                        + " file of --config"));
        options.fallBackTo(spec.commandLine().getParseResult(), config.modelArguments());
        CountDownLatch told = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        ServedModel served = serve(source, config);
        builder.optAdapterSources(sources(config));
        try (LoraServer server = builder.setModel(served).build().start()) {
            Thread hook =
                    new Thread(
                            () -> {
                                told.countDown();
                                awaitQuietly(ended);
                            },
                            "djl-lora-shutdown");
            Runtime.getRuntime().addShutdownHook(hook);
            PrintWriter out = spec.commandLine().getOut();
            if (!server.managementUri().equals(server.uri())) {
                out.println("Management on " + server.managementUri());
            }
            out.println("Listening on " + server.uri());
            out.flush();
            told.await();
        } finally {
            ended.countDown();
        }
        return 0;
    }

    private LoraServer.Builder override(LoraServer.Builder builder) {
        Optional.ofNullable(host).ifPresent(builder::optHost);
        Optional.ofNullable(port).ifPresent(builder::optPort);
        Optional.ofNullable(managementHost).ifPresent(builder::optManagementHost);
        Optional.ofNullable(managementPort).ifPresent(builder::optManagementPort);
        return accessLog ? builder.optAccessLog(true) : builder;
    }

    private ServedModel serve(String source, ServerConfig config) throws Exception {
        Optional.ofNullable(replicas).ifPresent(config::setReplicas);
        Optional.ofNullable(balancing).ifPresent(config::setBalancing);
        ReplicaOptions engines = config.replicas();
        var model = options.open(source);
        String shown =
                Optional.ofNullable(name)
                        .or(config::name)
                        .orElseGet(() -> String.valueOf(Path.of(source).getFileName()));
        ServedModel served =
                new ServedModel(shown, model, config.sampling(), config.engine(), engines);
        Map<String, Path> all = new LinkedHashMap<>(config.adapters());
        adapters.forEach(adapter -> all.put(adapter.name(), adapter.directory()));
        all.forEach((adapter, folder) -> put(served.adapters(), adapter, folder));
        return served;
    }

    /* What is on record of before a restart gets the revision that is given now. */
    private static void put(AdapterStore store, String adapter, Path folder) {
        if (store.names().contains(adapter)) {
            store.replace(adapter, folder);
        } else {
            store.register(adapter, folder);
        }
    }

    private SourceOptions sources(ServerConfig config) {
        List<String> allowed = new ArrayList<>();
        for (String source : allowedSources) {
            boolean address = source.matches("[A-Za-z][A-Za-z0-9]*:.*");
            allowed.add(address ? source : Path.of(source).toAbsolutePath().toString());
        }
        config.adapters().values().forEach(folder -> allowed.add(folder.toString()));
        adapters.forEach(adapter -> allowed.add(adapter.directory().toAbsolutePath().toString()));
        SourceOptions.Builder sources = config.sources().toBuilder();
        sources.optPolicy(config.sources().policy().with(allowed));
        if (adapterFolder != null) {
            sources.optFolder(adapterFolder);
        }
        String token = System.getenv("HF_TOKEN");
        if (token != null && !token.isEmpty()) {
            sources.optHubToken(token);
        }
        return sources.build();
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
