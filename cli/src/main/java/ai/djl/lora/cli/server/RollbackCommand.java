/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.ManifestVersion;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Puts the revision before the current one in its place, on a running server. */
@Command(
        name = "rollback",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Puts the revision before the current one in its place, on a running server.",
            "",
            "It is read again, which must find what was there, loaded beside the current one and"
                    + " tried first; whatever fails leaves the current one serving.",
            ""
        })
public final class RollbackCommand extends ServerCommand {

    @Mixin private TrialOptions trial;

    @Mixin private DrainOption drain;

    @Parameters(paramLabel = "NAME", description = "The adapter's name, or an alias.")
    private String name;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        JsonObject body = new JsonObject();
        drain.addTo(body);
        trial.addTo(body, name);
        return client.post(AdapterClient.path(name, "rollback"), body);
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.printSwapped(answer, out);
    }
}
