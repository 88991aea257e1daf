/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The benchmarks. */
@Command(
        name = "bench",
        description = "Measures this machine with djl-lora.",
        subcommands = {
            OperatorBenchCommand.class,
            ResidencyBenchCommand.class,
            ThroughputBenchCommand.class,
            LatencyBenchCommand.class,
            ServerBenchCommand.class
        },
        synopsisSubcommandLabel = "COMMAND")
public final class BenchCommand {

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;
}
