/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.PrintWriter;

/** Prints JSON for people and programs: indented, with every field, null where there is nothing. */
final class JsonPrinter {

    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().setPrettyPrinting().create();

    private JsonPrinter() {}

    /**
     * Prints an object.
     *
     * @param out where to
     * @param object the object
     */
    static void print(PrintWriter out, JsonObject object) {
        out.println(GSON.toJson(object));
    }
}
