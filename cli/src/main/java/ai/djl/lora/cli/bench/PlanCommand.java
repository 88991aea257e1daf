/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.cli.TypeConverter;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.memory.HostMemory;
import ai.djl.lora.model.LlamaConfig;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Says what fits into a machine's memory, and how fast it can be. */
@Command(
        name = "plan",
        mixinStandardHelpOptions = true,
        description = {
            "Says how many adapters of a model fit into some memory, and what throughput to expect.",
            "",
            "Weights are not read: what counts is the model's shape. The machine's read bandwidth and"
                    + " matmul rate are measured, and a step can be no faster than its bytes and its"
                    + " operations; 0.7 of that is what the engine usually reaches or passes"
                    + " (docs/results/engine.md). On the CPU the device's tier is the host's memory, so"
                    + " that all memory is best given to it.",
            ""
        },
        footer = {
            "The exit code is 1 where a step with an adapter for each request does not fit.",
            ""
        })
public final class PlanCommand implements Callable<Integer> {

    private static final int EXIT_DOES_NOT_FIT = 1;
    private static final long READ_BYTES = 512L << 20;
    private static final int ROUNDS = 3;
    private static final Pattern SIZE =
            Pattern.compile("(\\d{1,15}(?:\\.\\d{1,3})?)([KMGT]?)(?:i?B)?");

    @Spec private CommandSpec spec;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "MODEL",
            description =
                    "A folder in Hugging Face layout, of which config.json is read, or a shape:"
                            + " synthetic:qwen2-0.5b, synthetic:qwen2-7b or synthetic:qwen2-tiny.")
    private String model;

    @Option(
            names = "--adapters",
            paramLabel = "N",
            required = true,
            description = "How many adapters there are.")
    private int adapters;

    @Option(
            names = "--rank",
            paramLabel = "R",
            defaultValue = "16",
            description = "Their rank, in all linear layers (default: ${DEFAULT-VALUE}).")
    private int rank;

    @Option(
            names = "--memory",
            paramLabel = "SIZE",
            description =
                    "The memory that may be used, such as 16GiB; a bare number is in GiB (default:"
                            + " what this process may use).")
    private String memory;

    @Option(
            names = "--requests",
            paramLabel = "N",
            defaultValue = "16",
            description = "How many requests run at once (default: ${DEFAULT-VALUE}).")
    private int requests;

    @Option(
            names = "--context",
            paramLabel = "N",
            defaultValue = "1024",
            description =
                    "The tokens that each has at most, its prompt's too (default:"
                            + " ${DEFAULT-VALUE}).")
    private int context;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "bfloat16",
            converter = TypeConverter.class,
            description = "float32, float16 or bfloat16 (default: ${DEFAULT-VALUE}).")
    private ElementType dtype;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        BenchModelOptions.positive("--adapters", adapters);
        BenchModelOptions.positive("--rank", rank);
        BenchModelOptions.positive("--requests", requests);
        BenchModelOptions.positive("--context", context);
        Plan plan = new Plan(shape(), dtype, adapters, rank, memoryBytes(), requests, context);
        Map<String, Object> report = new LinkedHashMap<>(plan.memoryReport());
        if (LoraLibrary.isAvailable()) {
            report.putAll(measured(plan));
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(new GsonBuilder().setPrettyPrinting().create().toJson(report));
        } else {
            report.forEach((name, value) -> print(out, name, value));
            if (plan.residentAdapters() > 0) {
                out.println();
                out.println("# residency.yaml");
                out.printf(
                        "device: {adapters: %d, bytes: %d}%n",
                        plan.residentAdapters(), plan.residentAdapters() * plan.adapterBytes());
                out.println("host: {enabled: false}");
            }
        }
        return plan.fits() ? 0 : EXIT_DOES_NOT_FIT;
    }

    private SyntheticModel shape() {
        if (model.startsWith(SyntheticModel.PREFIX)) {
            return SyntheticModel.named(model.substring(SyntheticModel.PREFIX.length()));
        }
        return SyntheticModel.of(model, LlamaConfig.read(ModelOptions.folder(model)));
    }

    private long memoryBytes() throws IOException {
        if (memory == null) {
            return HostMemory.open().read().limit();
        }
        Matcher matcher = SIZE.matcher(memory);
        if (!matcher.matches()) {
            throw new LoraConfigurationException(
                    "--memory is "
                            + memory
                            + "; a number of GiB or a size such as 512MiB or 16GiB is needed");
        }
        boolean bare = memory.equals(matcher.group(1));
        int power = bare ? 3 : " KMGT".indexOf(matcher.group(2).isEmpty() ? " " : matcher.group(2));
        BigDecimal bytes =
                new BigDecimal(matcher.group(1)).multiply(BigDecimal.valueOf(1024).pow(power));
        if (bytes.compareTo(BigDecimal.valueOf(1L << 50)) > 0) {
            throw new LoraConfigurationException("--memory is " + memory + "; the most is 1024TiB");
        }
        return bytes.longValue();
    }

    private Map<String, Object> measured(Plan plan) {
        List<Double> reads = new ArrayList<>();
        List<Double> rates = new ArrayList<>();
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                MachineLimit limit =
                        new MachineLimit(manager, new OperatorData(dtype), READ_BYTES);
                RowMatmul matmul = new RowMatmul(manager, dtype, requests)) {
            for (int i = 0; i <= ROUNDS; ++i) {
                long start = System.nanoTime();
                limit.read();
                double read = limit.bytes() / ((System.nanoTime() - start) * 1e-9);
                double rate = matmul.bestRate();
                if (i > 0) {
                    reads.add(read);
                    rates.add(rate);
                }
            }
        }
        return plan.speedReport(Percentiles.median(reads), Percentiles.median(rates));
    }

    private static void print(PrintWriter out, String name, Object value) {
        if (name.endsWith("_bytes")) {
            out.printf(
                    Locale.ROOT,
                    "%-32s %12.3f GiB%n",
                    name.substring(0, name.length() - "_bytes".length()),
                    (Long) value / (double) (1 << 30));
        } else if (value instanceof Double number) {
            out.printf(Locale.ROOT, "%-32s %12.3f%n", name, number);
        } else {
            out.printf("%-32s %12s%n", name, value);
        }
    }
}
