/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.TextTable;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** Adapters as tables show them. */
final class AdapterLine {

    private static final int SHOWN = 12;

    private AdapterLine() {}

    static TextTable table() {
        return new TextTable(
                "name", "tier", "state", "revision", "bytes", "leases", "hits", "misses", "notes");
    }

    static void add(TextTable table, JsonObject adapter) {
        table.add(
                text(adapter, "name"),
                text(adapter, "tier"),
                text(adapter, "state"),
                shortened(text(adapter, "revision")),
                text(adapter, "bytes"),
                text(adapter, "leases"),
                text(adapter, "hits"),
                text(adapter, "misses"),
                notes(adapter));
    }

    static void print(JsonObject adapter, PrintWriter out) {
        TextTable table = table();
        add(table, adapter);
        table.print(out);
    }

    /** Prints what a change of revision has done. */
    static void printSwapped(JsonObject answer, PrintWriter out) {
        out.println(
                text(answer, "name")
                        + ": revision "
                        + shortened(text(answer, "previous_revision"))
                        + " -> "
                        + shortened(text(answer, "revision"))
                        + (answer.get("drained").getAsBoolean()
                                ? ""
                                : ", some requests still use the old one"));
    }

    private static String notes(JsonObject adapter) {
        List<String> notes = new ArrayList<>();
        if (adapter.has("default") && adapter.get("default").getAsBoolean()) {
            notes.add("default");
        }
        if (adapter.has("pinned") && adapter.get("pinned").getAsBoolean()) {
            notes.add("pinned");
        }
        if (adapter.has("tenant")) {
            notes.add("tenant " + text(adapter, "tenant"));
        }
        if (adapter.has("aliases")) {
            for (JsonElement alias : adapter.getAsJsonArray("aliases")) {
                notes.add("alias " + alias.getAsString());
            }
        }
        if (adapter.has("canary")) {
            JsonObject canary = adapter.getAsJsonObject("canary");
            notes.add(
                    "canary "
                            + shortened(text(canary, "revision"))
                            + " for "
                            + text(canary, "share"));
        }
        return String.join(", ", notes);
    }

    /** Returns a field as text; "" where there is none. */
    static String text(JsonObject object, String name) {
        JsonElement value = object.get(name);
        return value == null || value.isJsonNull() ? "" : value.getAsString();
    }

    /** Returns how a revision begins. */
    static String shortened(String revision) {
        return revision.substring(0, Math.min(SHOWN, revision.length()));
    }
}
