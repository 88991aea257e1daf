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

/** Brings an adapter of a running server to the device. */
@Command(
        name = "prefetch",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Brings an adapter of a running server to the device.%n")
public final class PrefetchCommand extends ServerCommand {

    @Parameters(paramLabel = "NAME", description = "The adapter's name, or an alias.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.post(AdapterClient.path(name, "prefetch"), new JsonObject());
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
