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

/** Puts the revision before the current one in its place, on a running server. */
@Command(
        name = "rollback",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description =
                "Puts the revision before the current one in its place, on a running server.%n")
public final class RollbackCommand extends ServerCommand {

    @Parameters(paramLabel = "NAME", description = "The adapter's name, or an alias.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        return client.post(AdapterClient.path(name, "rollback"), new JsonObject());
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
