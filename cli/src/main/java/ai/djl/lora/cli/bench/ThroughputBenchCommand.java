/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures what an engine generates with many adapters, beside the same work on the base alone. */
@Command(
        name = "throughput",
        description = {
            "Measures how many tokens the engine generates with many adapters.",
            "",
            "Every round runs the requests with their adapters, the same requests on the base model"
                    + " alone, and what shows the machine's limits: a read of memory and matmuls of"
                    + " as many rows. Figures are medians over the rounds.",
            ""
        })
final class ThroughputBenchCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Mixin private BenchModelOptions options;

    @Option(
            names = "--requests",
            paramLabel = "N",
            defaultValue = "16",
            description = "How many requests come at once (default: ${DEFAULT-VALUE}).")
    private int requests;

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "7",
            description = "How many rounds are counted (default: ${DEFAULT-VALUE}).")
    private int rounds;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        BenchModelOptions.positive("--rounds", rounds);
        BenchLoad load = options.load(requests);
        Map<String, Object> report = new LinkedHashMap<>();
        options.describe(load, report);
        try (BenchModel model = options.open(load)) {
            report.putAll(new ThroughputBench(model, load).run(rounds));
        }
        options.print(spec.commandLine().getOut(), report);
        return 0;
    }
}
