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
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Registers an adapter with a running server. */
@Command(
        name = "load",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Registers an adapter with a running server.",
            "",
            "The server must allow the source (serve --allow-source); with --upload the adapter is"
                    + " sent from this machine instead.",
            ""
        })
public final class LoadCommand extends ServerCommand {

    @Parameters(index = "0", paramLabel = "NAME", description = "The adapter's name.")
    private String name;

    @Parameters(
            index = "1",
            paramLabel = "SOURCE",
            description =
                    "A folder or an archive on the server's machine, or an address of file:, https:,"
                            + " s3://BUCKET/PREFIX or hf:ORGANISATION/NAME@REVISION.")
    private String source;

    @Option(names = "--upload", description = "Send the folder or archive from this machine.")
    private boolean upload;

    @Option(names = "--pin", description = "Keep the adapter on the device.")
    private boolean pin;

    @Option(names = "--tenant", paramLabel = "NAME", description = "Whose adapter it is.")
    private String tenant;

    @Option(
            names = "--priority",
            paramLabel = "NUMBER",
            description = "How much it is worth keeping; higher is more.")
    private Double priority;

    @Option(
            names = "--revision",
            paramLabel = "HASH",
            description = "The content hash that the adapter must have.")
    private String revision;

    @Option(names = "--sha256", paramLabel = "HASH", description = "What the archive must hash to.")
    private String sha256;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        if (upload) {
            try (AdapterUpload content = AdapterUpload.of(Path.of(source))) {
                return client.upload(
                        "POST", AdapterClient.path(name, "upload") + query(), content.archive());
            }
        }
        JsonObject body = new JsonObject();
        body.addProperty("name", name);
        body.addProperty("source", SourceParameter.absolute(source));
        if (pin) {
            body.addProperty("pin", true);
        }
        add(body, "tenant", tenant);
        if (priority != null) {
            body.addProperty("priority", priority);
        }
        add(body, "revision", revision);
        add(body, "sha256", sha256);
        return client.post("/adapters", body);
    }

    private static void add(JsonObject body, String field, String value) {
        if (value != null) {
            body.addProperty(field, value);
        }
    }

    private String query() {
        StringBuilder query = new StringBuilder(pin ? "?pin=true" : "?pin=false");
        if (tenant != null) {
            query.append("&tenant=").append(AdapterClient.encoded(tenant));
        }
        if (priority != null) {
            query.append("&priority=").append(priority);
        }
        if (revision != null) {
            query.append("&revision=").append(AdapterClient.encoded(revision));
        }
        if (sha256 != null) {
            query.append("&sha256=").append(AdapterClient.encoded(sha256));
        }
        return query.toString();
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
