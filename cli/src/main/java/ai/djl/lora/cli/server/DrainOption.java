/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import com.google.gson.JsonObject;
import picocli.CommandLine.Option;

/** How long a change of revision waits for what runs with the old one. */
final class DrainOption {

    @Option(
            names = "--drain-seconds",
            paramLabel = "NUMBER",
            description =
                    "How long to wait for requests that have begun with the old revision. Default:"
                            + " 30.")
    private Double seconds;

    /** Adds what is asked to a request. */
    void addTo(JsonObject body) {
        if (seconds != null) {
            body.addProperty("drain_seconds", seconds);
        }
    }

    /** Returns what is asked as a parameter of a request whose body is an archive. */
    String query() {
        return seconds == null ? "" : "&drain_seconds=" + seconds;
    }
}
