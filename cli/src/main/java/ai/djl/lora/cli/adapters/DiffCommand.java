/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.adapter.ModuleReport;
import ai.djl.lora.cli.TextTable;
import ai.djl.lora.convert.AdapterDiff;
import ai.djl.lora.convert.ConfigDifference;
import ai.djl.lora.convert.ModuleDifference;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says in what two adapters differ. */
@Command(
        name = "diff",
        description = {
            "Says in what two adapters differ, without their model.",
            "",
            "Adapters of the same revision are the same, whatever their files are. Of others it"
                    + " prints the fields of the configuration that differ and can change numbers,"
                    + " and the modules: method, rank, scale, and the largest absolute difference of"
                    + " what changes there. For low-rank products that is an element of scale * B"
                    + " A, whatever the ranks.",
            ""
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            " 0:both have the same revision",
            " 1:they differ",
            " 2:an adapter cannot be read, or is of a kind that is not supported",
            "70:an unexpected failure"
        })
final class DiffCommand implements Callable<Integer> {

    private static final int EXIT_DIFFERS = 1;
    private static final String NOTHING = "-";

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Parameters(
            index = "0",
            paramLabel = "A",
            description = "An adapter: a folder as PEFT writes it, or a file.")
    private Path first;

    @Parameters(index = "1", paramLabel = "B", description = "Another adapter.")
    private Path second;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        AdapterDiff diff = AdapterDiff.of(first, second);
        if (json) {
            JsonPrinter.print(out, toJson(diff));
        } else {
            print(diff, out);
        }
        return diff.isEqual() ? 0 : EXIT_DIFFERS;
    }

    private static JsonObject toJson(AdapterDiff diff) {
        JsonObject object = new JsonObject();
        object.addProperty("equal", diff.isEqual());
        JsonArray revisions = new JsonArray();
        revisions.add(diff.firstRevision());
        revisions.add(diff.secondRevision());
        object.add("revisions", revisions);
        JsonArray fields = new JsonArray();
        for (ConfigDifference field : diff.fields()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("field", field.field());
            entry.add("a", field.first());
            entry.add("b", field.second());
            fields.add(entry);
        }
        object.add("config", fields);
        JsonArray modules = new JsonArray();
        diff.modules().forEach(module -> modules.add(json(module)));
        object.add("modules", modules);
        object.addProperty("equal_modules", diff.equalModules());
        return object;
    }

    private static JsonObject json(ModuleDifference module) {
        JsonObject object = new JsonObject();
        object.addProperty("name", module.module());
        object.add("a", module.first().map(DiffCommand::json).orElse(null));
        object.add("b", module.second().map(DiffCommand::json).orElse(null));
        JsonObject largest = new JsonObject();
        module.largest()
                .forEach(
                        (part, value) ->
                                largest.addProperty(
                                        part,
                                        value.isPresent() ? (Double) value.getAsDouble() : null));
        object.add("largest_difference", largest);
        return object;
    }

    private static JsonObject json(ModuleReport module) {
        JsonObject object = new JsonObject();
        object.addProperty("variant", module.variant());
        object.addProperty("rank", module.rank());
        object.addProperty("scale", module.scale());
        object.addProperty("dtype", module.dtype());
        object.addProperty("bytes", module.bytes());
        return object;
    }

    private static void print(AdapterDiff diff, PrintWriter out) {
        ReportPrinter printer = new ReportPrinter(out);
        if (diff.isEqual()) {
            printer.line("same revision", diff.firstRevision());
            return;
        }
        printer.line("revision of A", diff.firstRevision());
        printer.line("revision of B", diff.secondRevision());
        for (ConfigDifference field : diff.fields()) {
            printer.line(
                    "configuration",
                    Message.oneLine(field.field())
                            + ": "
                            + value(field.first())
                            + " -> "
                            + value(field.second()));
        }
        if (!diff.modules().isEmpty()) {
            TextTable table =
                    new TextTable(
                            "module", "variant", "rank", "scale", "dtype", "largest difference");
            for (ModuleDifference module : diff.modules()) {
                table.add(
                        Message.oneLine(module.module()),
                        both(module, ModuleReport::variant),
                        both(module, report -> String.valueOf(report.rank())),
                        both(module, report -> ReportPrinter.number(report.scale())),
                        both(module, ModuleReport::dtype),
                        largest(module));
            }
            out.println();
            table.print(out);
            out.println();
        }
        printer.line("equal modules", String.valueOf(diff.equalModules()));
    }

    private static String both(ModuleDifference module, Function<ModuleReport, String> value) {
        String one = text(module.first(), value);
        String other = text(module.second(), value);
        return one.equals(other) ? one : one + " -> " + other;
    }

    private static String text(
            Optional<ModuleReport> report, Function<ModuleReport, String> value) {
        return report.map(value).orElse(NOTHING);
    }

    private static String value(JsonElement value) {
        return value == null ? "absent" : Message.oneLine(value.toString());
    }

    private static String largest(ModuleDifference module) {
        if (module.largest().isEmpty()) {
            return "0";
        }
        return module.largest().entrySet().stream()
                .map(entry -> entry.getKey() + ' ' + largest(entry.getValue()))
                .collect(Collectors.joining(", "));
    }

    private static String largest(OptionalDouble value) {
        return value.isPresent() ? ReportPrinter.number(value.getAsDouble()) : "not comparable";
    }
}
