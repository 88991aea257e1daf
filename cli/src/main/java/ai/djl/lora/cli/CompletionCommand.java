/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Prints what makes a shell complete commands and options. */
@Command(
        name = "completion",
        description = {
            "Prints a script that makes bash and zsh complete commands and options.",
            "",
            "Use it with: source <(bin/djl-lora completion)",
            ""
        })
final class CompletionCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        spec.commandLine()
                .getOut()
                .println(AutoComplete.bash("djl-lora", spec.root().commandLine()));
        return 0;
    }
}
