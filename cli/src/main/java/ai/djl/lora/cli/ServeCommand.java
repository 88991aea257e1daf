/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.model.ServedModel;
import java.nio.file.Path;
import java.util.List;
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
            "Prints 'Listening on URL' when it takes requests. On SIGTERM or SIGINT it takes no more,"
                    + " waits for those that were taken, and ends.",
            ""
        })
final class ServeCommand implements Callable<Integer> {

    /** The tokens of an answer where a request names no number. */
    private static final int DEFAULT_MAX_TOKENS = 256;

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR_OR_URL",
            description =
                    "The base model: a folder in Hugging Face layout (config.json, safetensors,"
                            + " tokenizer.json), or a URL such as djl-lora://demo.")
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
            names = "--host",
            paramLabel = "HOST",
            defaultValue = "127.0.0.1",
            description =
                    "The address to listen on. Default: 127.0.0.1, which only this machine reaches.")
    private String host;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            defaultValue = "8080",
            description = "The port to listen on; 0 is a free one. Default: 8080.")
    private int port;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws Exception {
        LoraServer.Builder builder = LoraServer.builder().optHost(host).optPort(port);
        CountDownLatch told = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        var model = options.open(modelSource);
        String shown = name == null ? String.valueOf(Path.of(modelSource).getFileName()) : name;
        ServedModel served =
                new ServedModel(shown, model, SamplingParameters.greedy(DEFAULT_MAX_TOKENS));
        for (AdapterSource adapter : adapters) {
            served.adapters().register(adapter.name(), adapter.directory());
        }
        try (LoraServer server = builder.setModel(served).build().start()) {
            Thread hook =
                    new Thread(
                            () -> {
                                told.countDown();
                                awaitQuietly(ended);
                            },
                            "djl-lora-shutdown");
            Runtime.getRuntime().addShutdownHook(hook);
            spec.commandLine().getOut().println("Listening on " + server.uri());
            spec.commandLine().getOut().flush();
            told.await();
        } finally {
            ended.countDown();
        }
        return 0;
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
