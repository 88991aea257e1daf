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

/** Keeps an adapter of a running server on the device. */
@Command(
        name = "pin",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Keeps an adapter of a running server on the device.%n")
public final class PinCommand extends ServerCommand {

    @Parameters(paramLabel = "NAME", description = "The adapter's name, or an alias.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.post(AdapterClient.path(name, "pin"), new JsonObject());
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
