/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.config.ResidencyConfig;
import ai.djl.lora.server.config.ServerConfig;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Tells every mistake of a configuration file. */
@Command(
        name = "check",
        description = {
            "Tells every mistake of a configuration file, each with its line.",
            "",
            "The file is YAML, of a server (docs/configuration.md has its keys) or of how adapters"
                    + " are kept (docs/residency.md); which one is told by its keys. The exit code"
                    + " is 0 where the file can be used, and 2 where it cannot.",
            ""
        })
final class ConfigCheckCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Parameters(paramLabel = "FILE", description = "The file.")
    private Path file;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        boolean server = ServerConfig.isServerFile(file);
        List<String> mistakes = server ? ServerConfig.check(file) : ResidencyConfig.check(file);
        if (!mistakes.isEmpty()) {
            mistakes.forEach(spec.commandLine().getErr()::println);
            return DjlLora.EXIT_BAD_INPUT;
        }
        if (server) {
            describe(ServerConfig.read(file));
            return 0;
        }
        ResidencyConfig config = ResidencyConfig.read(file);
        StoreOptions options = config.getOptions();
        PrintWriter out = spec.commandLine().getOut();
        out.println("device    " + describe(options.getDevice()));
        out.println(
                "host      "
                        + (options.isHostEnabled() ? describe(options.getHost()) : "switched off"));
        out.println(
                "registry  "
                        + config.getRegistryDirectory().map(Path::toString).orElse("not kept"));
        out.println(
                "watched   "
                        + config.getWatched()
                                .map(watched -> watched.directory().toString())
                                .orElse("nothing"));
        out.println("adapters  " + config.getAdapters().size());
        return 0;
    }

    private void describe(ServerConfig config) {
        PrintWriter out = spec.commandLine().getOut();
        out.println("model     " + config.model().orElse("of --model"));
        out.println("adapters  " + config.adapters().size());
        out.println("keys      " + (config.isAuthenticating() ? "asked for" : "not asked for"));
    }

    private static String describe(TierOptions tier) {
        String bytes =
                tier.bytes().isPresent()
                        ? tier.bytes().getAsLong() + " bytes"
                        : "a quarter of the memory";
        return tier.adapters() + " adapters, " + bytes + ", " + tier.strategy();
    }
}
