/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures how long requests take that come at given rates. */
@Command(
        name = "latency",
        description = {
            "Measures how long requests take that come at given rates.",
            "",
            "At every rate requests come at random times (a Poisson process), whether earlier ones"
                    + " have ended or not: once with their adapters, once on the base model alone."
                    + " Times count from when a request was due, by percentile: to the first token"
                    + " (ttft), per output token after it (tpot), and to the end (latency).",
            ""
        })
final class LatencyBenchCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Mixin private BenchModelOptions options;

    @Option(
            names = "--rates",
            paramLabel = "R,...",
            split = ",",
            defaultValue = "0.5,1,2",
            description = "Requests a second (default: ${DEFAULT-VALUE}).")
    private List<Double> rates;

    @Option(
            names = "--requests",
            paramLabel = "N",
            defaultValue = "32",
            description = {"How many requests come at each rate", "(default: ${DEFAULT-VALUE})."})
    private int requests;

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "1",
            description = {
                "How often that is done at each rate, with other",
                "arrivals and prompts (default: ${DEFAULT-VALUE})."
            })
    private int rounds;

    @Option(
            names = "--plot",
            paramLabel = "FILE",
            description = "Draw the times over the rates into an SVG file.")
    private Path plot;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException, InterruptedException {
        BenchModelOptions.positive("--rounds", rounds);
        for (double rate : rates) {
            if (!(rate > 0) || Double.isInfinite(rate)) {
                throw new LoraConfigurationException(
                        "--rates has " + rate + "; a rate must be more than 0");
            }
        }
        List<Double> ascending = rates.stream().sorted().distinct().toList();
        BenchLoad load = options.load(requests);
        List<Map<String, Object>> rows;
        try (BenchModel model = options.open(load)) {
            rows = new LatencyBench(model, load).run(ascending, rounds);
        }
        if (plot != null) {
            Files.writeString(plot, LatencyPlot.draw(rows));
        }
        Map<String, Object> report = new LinkedHashMap<>();
        options.describe(load, report);
        report.put("rounds", rounds);
        report.put("rates", rows);
        options.print(spec.commandLine().getOut(), report);
        return 0;
    }
}
