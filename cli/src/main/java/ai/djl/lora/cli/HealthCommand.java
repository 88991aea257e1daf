/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.net.http.HttpResponse;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Asks a running server how it does. */
@Command(
        name = "health",
        description = {
            "Asks a running server how it does, and prints its answer as JSON.",
            "",
            "The exit code is 0 where it is healthy, 1 where it is not, and 2 where none answers.",
            ""
        })
final class HealthCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Mixin private ServerOptions server;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws InterruptedException {
        HttpResponse<String> answer = server.get("/health", "application/json");
        spec.commandLine().getOut().println(answer.body());
        return answer.statusCode() == 200 ? 0 : DjlLora.EXIT_DIFFERS;
    }
}
