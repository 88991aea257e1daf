/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Measures the operator. */
@Command(
        name = "operator",
        description = {
            "Measures the SGMV operator in bfloat16 on the cpu backend.",
            "",
            "Every figure is a ratio within this run: against the machine's read bandwidth and"
                    + " matmul rate, and against ATen doing the same, interleaved, by medians.",
            ""
        })
final class OperatorBenchCommand implements Callable<Integer> {

    private static final long MEGABYTE = 1L << 20;

    /** One weight of the base row's case, in MB. */
    private static final int SMALLEST_ROTATION = 16;

    private static final int QUICK_ROUNDS = 7;
    private static final int ROUNDS = 15;

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Option(names = "--quick", description = "Only the cases that matter most, in under a minute.")
    private boolean quick;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Option(
            names = "--plot",
            paramLabel = "FILE.svg",
            description = "Draw the share of the limit over the number of rows; not with --quick.")
    private Path plot;

    @Option(
            names = "--rotate",
            paramLabel = "MB",
            defaultValue = "640",
            description =
                    "Weights to rotate through, more than the last-level cache holds (default:"
                            + " ${DEFAULT-VALUE} MB).")
    private int rotate;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        if (quick && plot != null) {
            throw new ParameterException(
                    spec.commandLine(), "--plot needs the cases that --quick leaves out");
        }
        if (rotate < SMALLEST_ROTATION) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '--rotate': "
                            + rotate
                            + " is not "
                            + SMALLEST_ROTATION
                            + " or more");
        }
        LoraBackend backend = LoraBackends.choose("cpu");
        int rounds = quick ? QUICK_ROUNDS : ROUNDS;
        try (OperatorBench bench = new OperatorBench(backend, rotate * MEGABYTE, rounds)) {
            bench.runHeadlines();
            if (!quick) {
                bench.runSweep();
            }
            if (plot != null) {
                Files.writeString(plot, SharePlot.draw(bench.rows()));
            }
            print(bench);
        }
        return 0;
    }

    private void print(OperatorBench bench) {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> report = new LinkedHashMap<>(bench.headlines());
            report.put("rows", bench.rows());
            Gson gson =
                    new GsonBuilder()
                            .serializeSpecialFloatingPointValues()
                            .setPrettyPrinting()
                            .create();
            out.println(gson.toJson(report));
            return;
        }
        bench.headlines()
                .forEach((name, value) -> out.printf(Locale.ROOT, "%-34s %8.3f%n", name, value));
        out.printf(
                "%n%-11s %6s %6s %5s %7s %9s %-11s %10s %9s %8s%n",
                "case",
                "in",
                "out",
                "rank",
                "tokens",
                "adapters",
                "popularity",
                "micros",
                "GB/s",
                "of limit");
        for (OperatorRow row : bench.rows()) {
            out.printf(
                    Locale.ROOT,
                    "%-11s %6d %6d %5d %7d %9d %-11s %10.1f %9.1f %8.2f%n",
                    row.name(),
                    row.in(),
                    row.out(),
                    row.rank(),
                    row.tokens(),
                    row.adapters(),
                    row.popularity(),
                    row.micros(),
                    row.bytes() / row.micros() * 1e-3,
                    row.shareOfLimit());
        }
    }
}
