/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.ManifestVersion;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Lets an adapter of a running server leave the device again. */
@Command(
        name = "unpin",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Lets an adapter of a running server leave the device again.%n")
public final class UnpinCommand extends ServerCommand {

    @Parameters(paramLabel = "NAME", description = "The adapter's name, or an alias.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.post(AdapterClient.path(name, "unpin"), new JsonObject());
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
