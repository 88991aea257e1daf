/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cli.ManifestVersion;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Gives a share of an adapter's requests another revision, on a running server. */
@Command(
        name = "canary",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Gives a share of an adapter's requests another revision, on a running server.",
            "",
            "With a SOURCE and --share it begins, with --share alone the share changes, and"
                    + " --promote or --end ends it.",
            ""
        })
public final class CanaryCommand extends ServerCommand {

    @Mixin private TrialOptions trial;

    @Parameters(index = "0", paramLabel = "NAME", description = "The adapter's name.")
    private String name;

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "SOURCE",
            description = "Where the new revision is; as with 'adapters load'.")
    private String source;

    @Option(
            names = "--share",
            paramLabel = "NUMBER",
            description = "Which part of the sessions gets it, above 0 and at most 1.")
    private Double share;

    @Option(names = "--promote", description = "Give all requests the new revision.")
    private boolean promote;

    @Option(names = "--end", description = "Give all requests the current revision again.")
    private boolean end;

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        int asked = (share == null ? 0 : 1) + (promote ? 1 : 0) + (end ? 1 : 0);
        if (asked != 1 || share == null && source != null) {
            throw new LoraConfigurationException(
                    "give one of --share NUMBER (with a SOURCE where a canary begins), --promote"
                            + " and --end");
        }
        if (promote) {
            return client.post(AdapterClient.path(name, "canary", "promote"), new JsonObject());
        }
        if (end) {
            return client.delete(AdapterClient.path(name, "canary"));
        }
        JsonObject body = new JsonObject();
        body.addProperty("share", share);
        if (source != null) {
            body.addProperty("source", SourceParameter.absolute(source));
            trial.addTo(body, name);
        }
        return client.post(AdapterClient.path(name, "canary"), body);
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        AdapterLine.print(answer, out);
    }
}
