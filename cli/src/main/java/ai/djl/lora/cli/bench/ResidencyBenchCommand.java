/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures how adapters are kept and moved. */
@Command(
        name = "residency",
        description = {
            "Measures how adapters are kept and moved between tiers.",
            "",
            "Hit rates are those of replayed traces of requests for 10,000 adapters, for every"
                    + " eviction strategy, beside the best that could be had. Loads are those of"
                    + " bfloat16 adapters of Qwen2-0.5B's shape with rank 8, from a warm page cache,"
                    + " in turns with plain copies and reads of the same files.",
            ""
        })
final class ResidencyBenchCommand implements Callable<Integer> {

    private static final int REQUESTS = 150_000;
    private static final int QUICK_REQUESTS = 30_000;
    private static final int ROOM = 100;
    private static final int LARGE_ROOM = 1000;

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Option(names = "--quick", description = "Shorter traces and smaller adapters.")
    private boolean quick;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException, InterruptedException {
        HitRateBench rates = new HitRateBench(quick ? QUICK_REQUESTS : REQUESTS);
        Map<String, Object> report = new LinkedHashMap<>();
        Map<String, Map<String, Double>> table = new LinkedHashMap<>();
        table.put("hit_rate", rates.zipf(ROOM));
        table.put("hit_rate_1000", rates.zipf(LARGE_ROOM));
        table.put("hit_rate_shifting", rates.shifting(ROOM));
        table.put("hit_rate_shifting_1000", rates.shifting(LARGE_ROOM));
        report.putAll(table);
        Map<String, Object> figures;
        try (ResidencyBench bench = new ResidencyBench(quick)) {
            figures = bench.run();
        }
        try (WorkloadBench workload = new WorkloadBench(quick)) {
            workload.run(figures);
        }
        report.putAll(figures);
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Gson gson = new GsonBuilder().setPrettyPrinting().create();
            out.println(gson.toJson(report));
            return 0;
        }
        out.printf("%-16s", "hit rate");
        table.keySet().forEach(column -> out.printf(" %16s", title(column)));
        out.println();
        for (String strategy : table.get("hit_rate").keySet()) {
            out.printf("%-16s", strategy);
            table.values()
                    .forEach(column -> out.printf(Locale.ROOT, " %16.3f", column.get(strategy)));
            out.println();
        }
        out.println();
        figures.forEach(
                (name, value) -> out.printf(Locale.ROOT, "%-28s %10.3f%n", name, (Double) value));
        return 0;
    }

    private static String title(String column) {
        String trace = column.contains("shifting") ? "shifting, " : "zipf, ";
        return trace + (column.endsWith("_1000") ? LARGE_ROOM : ROOM);
    }
}
