/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.ManifestVersion;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Puts another revision in the place of an adapter's, on a running server. */
@Command(
        name = "swap",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Puts another revision in the place of an adapter's, on a running server.",
            "",
            "The new one is loaded beside the old one and tried first; whatever fails leaves the"
                    + " old one serving. Requests that have begun end with the old one.",
            ""
        })
public final class SwapCommand extends ServerCommand {

    @Mixin private TrialOptions trial;

    @Mixin private DrainOption drain;

    @Parameters(index = "0", paramLabel = "NAME", description = "The adapter's name.")
    private String name;

    @Parameters(
            index = "1",
            paramLabel = "SOURCE",
            description = "Where the new revision is; as with 'adapters load'.")
    private String source;

    @Option(
            names = "--upload",
            description =
                    "Send the folder or archive from this machine. Golden prompts cannot go with"
                            + " it.")
    private boolean upload;

    @Option(
            names = "--revision",
            paramLabel = "HASH",
            description = "The content hash that the new revision must have.")
    private String revision;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        if (upload) {
            return send(client);
        }
        JsonObject body = new JsonObject();
        body.addProperty("source", SourceParameter.absolute(source));
        if (revision != null) {
            body.addProperty("revision", revision);
        }
        drain.addTo(body);
        trial.addTo(body, name);
        return client.post(AdapterClient.path(name, "hot-swap"), body);
    }

    private JsonObject send(AdapterClient client) throws IOException {
        StringBuilder query = new StringBuilder("?preload=true");
        query.append(trial.query()).append(drain.query());
        if (revision != null) {
            query.append("&revision=").append(AdapterClient.encoded(revision));
        }
        // the route registers what is not there, and that is not what is asked for
        client.get(AdapterClient.path(name));
        try (AdapterUpload content = AdapterUpload.of(Path.of(source))) {
            return client.upload("PUT", AdapterClient.path(name) + query, content.archive());
        }
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.printSwapped(answer, out);
    }
}
