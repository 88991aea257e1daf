/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.server.security.KeyHash;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Makes a key for a server's callers. */
@Command(
        name = "key",
        description = {
            "Makes an API key for a server's callers, and the hash that goes into its file.",
            "",
            "The key is of 256 random bits and is shown this once: give it to whoever is to have it."
                    + " The file has the hash alone, as authentication.keys[].hash.",
            ""
        })
final class ConfigKeyCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        String key = KeyHash.newKey();
        PrintWriter out = spec.commandLine().getOut();
        out.println("key   " + key);
        out.println("hash  " + KeyHash.of(key));
        return 0;
    }
}
