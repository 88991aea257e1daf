/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What looks at configuration files, and makes what goes into them. */
@Command(
        name = "config",
        description = "Looks at configuration files, and makes keys for them.",
        subcommands = {ConfigCheckCommand.class, ConfigKeyCommand.class},
        synopsisSubcommandLabel = "COMMAND")
final class ConfigCommand {

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;
}
