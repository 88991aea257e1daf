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

/** Takes an adapter away from a running server. */
@Command(
        name = "unload",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Takes an adapter away from a running server.",
            "",
            "Requests that have begun with it end with it.",
            ""
        })
public final class UnloadCommand extends ServerCommand {

    @Parameters(paramLabel = "NAME", description = "The adapter's own name.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.delete(AdapterClient.path(name));
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        out.println(AdapterLine.text(answer, "status"));
    }
}
