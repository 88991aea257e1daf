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

/** Sets which adapter a running server's requests get that name none. */
@Command(
        name = "switch",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Sets which adapter a running server's requests get that name none.%n")
public final class SwitchCommand extends ServerCommand {

    @Parameters(
            paramLabel = "NAME",
            description = "The name of an adapter, an alias or a stack, or that of the base model.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.post(AdapterClient.path(name, "switch"), new JsonObject());
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        out.println("Requests that name no adapter get " + AdapterLine.text(answer, "default"));
    }
}
