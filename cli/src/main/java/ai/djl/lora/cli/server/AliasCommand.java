/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.ManifestVersion;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Lets a name stand for an adapter of a running server. */
@Command(
        name = "alias",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Lets a name stand for an adapter of a running server.%n")
public final class AliasCommand extends ServerCommand {

    @Parameters(index = "0", paramLabel = "NAME", description = "The adapter's name.")
    private String name;

    @Parameters(index = "1", paramLabel = "ALIAS", description = "The name that stands for it.")
    private String alias;

    @Option(names = "--remove", description = "Take the alias away.")
    private boolean remove;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        if (remove) {
            return client.delete(AdapterClient.path(name, "alias", AdapterClient.encoded(alias)));
        }
        JsonObject body = new JsonObject();
        body.addProperty("alias", alias);
        return client.post(AdapterClient.path(name, "alias"), body);
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
