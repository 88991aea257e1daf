/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures what an engine generates with many adapters, beside the same work on the base alone. */
@Command(
        name = "throughput",
        description = {
            "Measures how many tokens the engine generates with many adapters.",
            "",
            "Every round runs the requests with their adapters, the same requests on the base model"
                    + " alone, and what shows the machine's limits: a read of memory and matmuls of"
                    + " as many rows. Figures are medians over the rounds.",
            ""
        })
final class ThroughputBenchCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            defaultValue = "synthetic:qwen2-0.5b",
            description = {
                "A model of known shape and random weights:",
                "synthetic:qwen2-0.5b, synthetic:qwen2-7b or",
                "synthetic:qwen2-tiny (default: ${DEFAULT-VALUE})."
            })
    private String model;

    @Option(
            names = "--adapters",
            paramLabel = "N",
            defaultValue = "16",
            description = "How many adapters there are (default: ${DEFAULT-VALUE}).")
    private int adapters;

    @Option(
            names = "--rank",
            paramLabel = "R",
            defaultValue = "16",
            description = "Their rank (default: ${DEFAULT-VALUE}).")
    private int rank;

    @Option(
            names = "--popularity",
            paramLabel = "KIND",
            defaultValue = "distinct",
            description = {
                "Which request uses which adapter: base,",
                "identical, distinct, uniform or zipf",
                "(default: ${DEFAULT-VALUE})."
            })
    private String popularity;

    @Option(
            names = "--requests",
            paramLabel = "N",
            defaultValue = "16",
            description = "How many requests come at once (default: ${DEFAULT-VALUE}).")
    private int requests;

    @Option(
            names = "--prompt-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "The length of their prompts (default: ${DEFAULT-VALUE}).")
    private int promptTokens;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "How many tokens each generates (default: ${DEFAULT-VALUE}).")
    private int newTokens;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "bfloat16",
            description = "float32, float16 or bfloat16 (default: ${DEFAULT-VALUE}).")
    private String dtype;

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "7",
            description = "How many rounds are counted (default: ${DEFAULT-VALUE}).")
    private int rounds;

    @Option(
            names = "--folder",
            paramLabel = "DIR",
            description = {
                "Where the model is made and kept, and found the",
                "next time (default: a folder that is deleted)."
            })
    private Path folder;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        positive("--adapters", adapters);
        positive("--rank", rank);
        positive("--requests", requests);
        positive("--prompt-tokens", promptTokens);
        positive("--max-new-tokens", newTokens);
        positive("--rounds", rounds);
        if (!model.startsWith(SyntheticModel.PREFIX)) {
            throw new LoraConfigurationException(
                    "--model is " + model + "; it must be synthetic: and the name of a shape");
        }
        SyntheticModel shape =
                SyntheticModel.named(model.substring(SyntheticModel.PREFIX.length()));
        ThroughputBench.Load load =
                new ThroughputBench.Load(
                        adapters, rank, popularity, requests, promptTokens, newTokens);
        Map<String, Object> report;
        try (ThroughputBench bench = new ThroughputBench(shape, load, type(dtype), folder)) {
            report = bench.run(rounds);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(new GsonBuilder().setPrettyPrinting().create().toJson(report));
        } else {
            report.forEach((name, value) -> print(out, name, value));
        }
        return 0;
    }

    private static void print(PrintWriter out, String name, Object value) {
        if (value instanceof Map<?, ?> several) {
            several.forEach((key, one) -> print(out, name + '.' + key, one));
        } else if (value instanceof Double number) {
            out.printf(Locale.ROOT, "%-28s %12.3f%n", name, number);
        } else {
            out.printf("%-28s %12s%n", name, value);
        }
    }

    private static void positive(String name, int value) {
        if (value < 1) {
            throw new LoraConfigurationException(name + " is " + value + "; it must be 1 or more");
        }
    }

    private static ElementType type(String name) {
        for (ElementType type : ElementType.values()) {
            if (type.name().equalsIgnoreCase(name)) {
                return type;
            }
        }
        throw new LoraConfigurationException(
                "--dtype is " + name + "; it must be float32, float16 or bfloat16");
    }
}
