/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.ManifestVersion;
import ai.djl.lora.cli.TextTable;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine.Command;

/** Lists a running server's adapters. */
@Command(
        name = "list",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Lists the adapters of a running server.%n")
public final class ListCommand extends ServerCommand {

    /** {@inheritDoc} */
    @Override
    JsonObject ask(AdapterClient client) throws IOException {
        JsonArray all = new JsonArray();
        String token = "";
        do {
            String next = token.isEmpty() ? "" : "&next_page_token=" + AdapterClient.encoded(token);
            JsonObject page = client.get("/adapters?limit=1000" + next);
            all.addAll(page.getAsJsonArray("adapters"));
            token = AdapterLine.text(page, "nextPageToken");
        } while (!token.isEmpty());
        JsonObject whole = new JsonObject();
        whole.add("adapters", all);
        return whole;
    }

    /** {@inheritDoc} */
    @Override
    void print(JsonObject answer, PrintWriter out) {
        TextTable table = AdapterLine.table();
        for (JsonElement adapter : answer.getAsJsonArray("adapters")) {
            AdapterLine.add(table, adapter.getAsJsonObject());
        }
        table.print(out);
    }
}
