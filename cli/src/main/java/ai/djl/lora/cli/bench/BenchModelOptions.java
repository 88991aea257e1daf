/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cli.TypeConverter;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Option;

/** The options of benchmarks that run an engine. */
final class BenchModelOptions {

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            defaultValue = "synthetic:qwen2-0.5b",
            description = {
                "A folder in Hugging Face layout, or a model of",
                "known shape and random weights:",
                "synthetic:qwen2-0.5b, synthetic:qwen2-7b or",
                "synthetic:qwen2-tiny (default: ${DEFAULT-VALUE})."
            })
    private String model;

    @Option(
            names = "--adapters",
            paramLabel = "N",
            defaultValue = "16",
            description = {
                "How many adapters there are, of random weights",
                "(default: ${DEFAULT-VALUE})."
            })
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
                "identical, distinct, uniform, zipf or skewed",
                "(default: ${DEFAULT-VALUE})."
            })
    private String popularity;

    @Option(
            names = "--prompt-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "The length of prompts (default: ${DEFAULT-VALUE}).")
    private int promptTokens;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "How many tokens each request generates (default: ${DEFAULT-VALUE}).")
    private int newTokens;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "bfloat16",
            converter = TypeConverter.class,
            description = "float32, float16 or bfloat16 (default: ${DEFAULT-VALUE}).")
    private ElementType dtype;

    @Option(
            names = "--folder",
            paramLabel = "DIR",
            description = {
                "Where what is made is kept, and found the next",
                "time (default: a folder that is deleted)."
            })
    private Path folder;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /**
     * Returns the requests to make, checked.
     *
     * @param requests how many
     */
    BenchLoad load(int requests) {
        positive("--adapters", adapters);
        positive("--rank", rank);
        positive("--requests", requests);
        positive("--prompt-tokens", promptTokens);
        positive("--max-new-tokens", newTokens);
        BenchLoad load =
                new BenchLoad(adapters, rank, popularity, requests, promptTokens, newTokens);
        load.adapterOfRequest(); // what is wrong shows before anything is written
        return load;
    }

    /** Loads the model. */
    BenchModel open(BenchLoad load) throws IOException {
        return new BenchModel(model, load, dtype, folder);
    }

    /** Adds what is measured to a report. */
    void describe(BenchLoad load, Map<String, Object> report) {
        report.put("model", model);
        report.put("dtype", dtype.label());
        load.describe(report);
    }

    /** Prints a report, as was asked for. */
    void print(PrintWriter out, Map<String, Object> report) {
        if (json) {
            out.println(new GsonBuilder().setPrettyPrinting().create().toJson(report));
        } else {
            report.forEach((name, value) -> print(out, name, value));
        }
    }

    private static void print(PrintWriter out, String name, Object value) {
        if (value instanceof Map<?, ?> several) {
            several.forEach((key, one) -> print(out, name + '.' + key, one));
        } else if (value instanceof List<?> rows) {
            for (Object row : rows) {
                out.println(name + ':');
                ((Map<?, ?>) row).forEach((key, one) -> print(out, "  " + key, one));
            }
        } else if (value instanceof Double number) {
            out.printf(Locale.ROOT, "%-32s %12.3f%n", name, number);
        } else {
            out.printf("%-32s %12s%n", name, value);
        }
    }

    static void positive(String name, int value) {
        if (value < 1) {
            throw new LoraConfigurationException(name + " is " + value + "; it must be 1 or more");
        }
    }
}
