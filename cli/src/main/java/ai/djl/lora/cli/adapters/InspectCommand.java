/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.cli.TextTable;
import ai.djl.lora.convert.InferredLayout;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what an adapter holds. */
@Command(
        name = "inspect",
        description = {
            "Says what an adapter holds, without a model.",
            "",
            "Prints the configuration, the method, ranks, sizes, the revision, what its files"
                    + " have that PEFT writes otherwise, and every tensor. Layers count as large as"
                    + " the tensors say; whether a model has them is for 'validate' to tell.",
            ""
        })
final class InspectCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Parameters(
            paramLabel = "ADAPTER",
            description = "The adapter: a folder as PEFT writes it, or a file.")
    private Path adapter;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try (AdapterFiles files = AdapterFiles.open(adapter, FormatLimits.DEFAULTS)) {
            files.verify();
            ModelLayout layout = InferredLayout.of(files);
            LoadReport report = AdapterLoader.validate(files, layout, LoadingPolicy.STRICT);
            if (json) {
                JsonPrinter.print(out, toJson(files, report));
            } else {
                print(files, report, out);
            }
        }
        return 0;
    }

    private static JsonObject toJson(AdapterFiles files, LoadReport report) {
        JsonObject found = report.toJson();
        JsonObject object = new JsonObject();
        object.add("source", found.get("source"));
        object.addProperty("variant", variants(report));
        object.add("revision", found.get("revision"));
        object.addProperty("bytes", bytes(files));
        JsonArray notes = new JsonArray();
        files.notes().forEach(notes::add);
        object.add("notes", notes);
        object.add("config", files.config());
        object.add("modules", found.get("modules"));
        JsonArray tensors = new JsonArray();
        files.tensors().forEach((name, tensor) -> tensors.add(json(name, tensor)));
        object.add("tensors", tensors);
        object.add("issues", found.get("issues"));
        return object;
    }

    private static JsonObject json(String name, TensorInfo tensor) {
        JsonObject object = new JsonObject();
        object.addProperty("name", name);
        object.addProperty("dtype", tensor.type().name());
        JsonArray shape = new JsonArray();
        Arrays.stream(tensor.shape()).forEach(shape::add);
        object.add("shape", shape);
        object.addProperty("bytes", tensor.size());
        return object;
    }

    private static void print(AdapterFiles files, LoadReport report, PrintWriter out) {
        ReportPrinter printer = new ReportPrinter(out);
        printer.line("adapter", files.source().toString());
        printer.line("variant", variants(report));
        printer.line("revision", report.revision().orElse("not known"));
        printer.line(
                "size",
                String.format(
                        Locale.ROOT,
                        "%d bytes in %d tensors",
                        bytes(files),
                        files.tensors().size()));
        files.notes().forEach(note -> printer.line("note", Message.oneLine(note)));
        out.println();
        out.println("configuration");
        for (Map.Entry<String, JsonElement> field : files.config().entrySet()) {
            out.printf(
                    "  %s = %s%n",
                    Message.oneLine(field.getKey()), Message.oneLine(field.getValue().toString()));
        }
        printer.modules(report.modules());
        TextTable table = new TextTable("tensor", "dtype", "shape", "bytes");
        files.tensors()
                .forEach(
                        (name, tensor) ->
                                table.add(
                                        Message.oneLine(name),
                                        tensor.type().name(),
                                        Arrays.toString(tensor.shape()),
                                        String.valueOf(tensor.size())));
        table.print(out);
        out.println();
        printer.findings(report);
    }

    private static String variants(LoadReport report) {
        String names =
                report.modules().stream()
                        .map(module -> module.variant())
                        .collect(Collectors.toCollection(TreeSet::new))
                        .stream()
                        .collect(Collectors.joining(", "));
        return names.isEmpty() ? "none that is supported" : names;
    }

    private static long bytes(AdapterFiles files) {
        return files.tensors().values().stream().mapToLong(TensorInfo::size).sum();
    }
}
