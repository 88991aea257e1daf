/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.cli.server.AliasCommand;
import ai.djl.lora.cli.server.CanaryCommand;
import ai.djl.lora.cli.server.ListCommand;
import ai.djl.lora.cli.server.LoadCommand;
import ai.djl.lora.cli.server.PinCommand;
import ai.djl.lora.cli.server.PrefetchCommand;
import ai.djl.lora.cli.server.RollbackCommand;
import ai.djl.lora.cli.server.SwapCommand;
import ai.djl.lora.cli.server.SwitchCommand;
import ai.djl.lora.cli.server.UnloadCommand;
import ai.djl.lora.cli.server.UnpinCommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What can be done with adapters' files, and with the adapters of a running server. */
@Command(
        name = "adapters",
        description =
                "Looks at adapters, checks them against a model and converts them; manages those of a"
                        + " running server.",
        subcommands = {
            ValidateCommand.class,
            InspectCommand.class,
            DiffCommand.class,
            ConvertCommand.class,
            MergeCommand.class,
            ListCommand.class,
            LoadCommand.class,
            UnloadCommand.class,
            SwapCommand.class,
            RollbackCommand.class,
            PinCommand.class,
            UnpinCommand.class,
            PrefetchCommand.class,
            SwitchCommand.class,
            AliasCommand.class,
            CanaryCommand.class
        },
        synopsisSubcommandLabel = "COMMAND")
public final class AdaptersCommand {

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;
}
