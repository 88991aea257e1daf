/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import com.google.gson.GsonBuilder;
import java.io.PrintWriter;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Tells what this installation can use, and why not what it cannot. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Tells what djl-lora finds on this machine, and what it makes of it.",
            "",
            "Java, DJL, libtorch, the native library, the CPU's features, threads, the GPU, and"
                    + " which backend is chosen and why. What is missing is told, and is no"
                    + " failure: the exit code is 0.",
            ""
        })
final class DoctorCommand implements Runnable {

    @Spec private CommandSpec spec;

    @Option(names = "--json", description = "Print one JSON object of strings.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        Map<String, String> parts = new Diagnosis().parts();
        if (json) {
            out.println(
                    new GsonBuilder()
                            .disableHtmlEscaping()
                            .setPrettyPrinting()
                            .create()
                            .toJson(parts));
            return;
        }
        for (Map.Entry<String, String> part : parts.entrySet()) {
            out.printf("%-15s %s%n", part.getKey(), part.getValue());
        }
    }
}
