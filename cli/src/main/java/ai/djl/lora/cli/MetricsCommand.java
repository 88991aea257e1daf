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

/** Prints the metrics of a running server. */
@Command(
        name = "metrics",
        description = {
            "Prints the metrics of a running server.",
            "",
            "The exit code is 2 where none answers, or the key may not see them.",
            ""
        })
final class MetricsCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Mixin private ServerOptions server;

    @Option(names = "--json", description = "As JSON; otherwise as Prometheus reads them.")
    private boolean json;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws InterruptedException {
        HttpResponse<String> answer =
                json
                        ? server.get("/metrics", "application/json")
                        : server.get("/metrics/prometheus", "text/plain");
        if (answer.statusCode() != 200) {
            spec.commandLine().getErr().println("djl-lora: " + answer.body());
            return DjlLora.EXIT_BAD_INPUT;
        }
        spec.commandLine().getOut().println(answer.body().stripTrailing());
        return 0;
    }
}
