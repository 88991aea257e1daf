/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What can be done with adapters' files. */
@Command(
        name = "adapters",
        description = "Looks at adapters, checks them against a model, and converts them.",
        subcommands = {
            ValidateCommand.class,
            InspectCommand.class,
            DiffCommand.class,
            ConvertCommand.class,
            MergeCommand.class
        },
        synopsisSubcommandLabel = "COMMAND")
public final class AdaptersCommand {

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;
}
