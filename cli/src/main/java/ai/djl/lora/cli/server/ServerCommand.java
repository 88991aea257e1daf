/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Asks a running server for something and prints what came of it. */
abstract class ServerCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Mixin private ServerOptions server;

    @Option(names = "--json", description = "Print what the server answers, as JSON.")
    private boolean json;

    /** Asks the server. */
    abstract JsonObject ask(AdapterClient client) throws IOException;

    /** Prints an answer for people. */
    abstract void print(JsonObject answer, PrintWriter out);

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        JsonObject answer = ask(server.client());
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(
                    new GsonBuilder()
                            .disableHtmlEscaping()
                            .setPrettyPrinting()
                            .create()
                            .toJson(answer));
        } else {
            print(answer, out);
        }
        return 0;
    }
}
