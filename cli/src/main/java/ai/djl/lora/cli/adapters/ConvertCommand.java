/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.convert.AdapterConverter;
import ai.djl.lora.convert.AdapterConverter.Form;
import ai.djl.lora.format.FormatHints;
import ai.djl.lora.model.LlamaConfig;
import ai.djl.lora.model.LlamaLayout;
import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Writes an adapter in another form. */
@Command(
        name = "convert",
        description = {
            "Writes an adapter in another form, bit for bit the same.",
            "",
            "Reads every form that 'inspect' does. What is written has the revision of what was"
                    + " read, which is checked; it appears whole or not at all. Files beside the"
                    + " adapter's configuration and weights, such as a tokenizer, stay behind and"
                    + " are named.",
            ""
        })
final class ConvertCommand implements Callable<Integer> {

    private static final String PACKED_SUFFIX = ".djlora";

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Parameters(
            index = "0",
            paramLabel = "ADAPTER",
            description = "The adapter: a folder as PEFT writes it, or a file.")
    private Path adapter;

    @Parameters(index = "1", paramLabel = "OUT", description = "The file or folder to write.")
    private Path target;

    @Option(
            names = "--to",
            paramLabel = "FORM",
            converter = FormConverter.class,
            description =
                    "packed (one file, whose tensors are read into memory at once) or peft (a"
                            + " folder as PEFT writes it). Default: packed where OUT ends in"
                            + " .djlora, otherwise peft.")
    private Form form;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description =
                    "The base model, which the adapter must then fit. GGUF adapters of Llama models"
                            + " need it, since only the model says how many heads it has.")
    private String model;

    @Option(
            names = "--force",
            description =
                    "Replace OUT if it is there: a file, or a folder with adapter_config.json and"
                            + " nothing but files.")
    private boolean force;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        Output.checkFree(target, force);
        Optional<ModelLayout> layout = Optional.empty();
        Optional<FormatHints> hints = Optional.empty();
        if (model != null) {
            Path folder = ModelOptions.folder(model);
            LlamaConfig config = LlamaConfig.read(folder);
            layout = Optional.of(LlamaLayout.read(folder));
            hints =
                    Optional.of(
                            new FormatHints(config.numAttentionHeads(), config.numKeyValueHeads()));
        }
        if (form == null) {
            form = target.toString().endsWith(PACKED_SUFFIX) ? Form.PACKED : Form.PEFT;
        }
        LoadReport report =
                new AdapterConverter(adapter, layout, hints).convert(target, form, force);
        PrintWriter out = spec.commandLine().getOut();
        ReportPrinter printer = new ReportPrinter(out);
        printer.line("written", target.toString());
        printer.line("form", form.name().toLowerCase(Locale.ROOT));
        printer.line("revision", report.revision().orElseThrow());
        for (String name : leftBehind()) {
            printer.line("not converted", name);
        }
        return 0;
    }

    private List<String> leftBehind() throws IOException {
        if (!Files.isDirectory(adapter)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(adapter)) {
            return files.map(file -> String.valueOf(file.getFileName()))
                    .filter(name -> !name.startsWith("adapter_"))
                    .sorted()
                    .toList();
        }
    }

    /** Reads a form's name. */
    static final class FormConverter implements ITypeConverter<Form> {

        /** {@inheritDoc} */
        @Override
        public Form convert(String value) {
            return switch (value) {
                case "packed" -> Form.PACKED;
                case "peft" -> Form.PEFT;
                default ->
                        throw new TypeConversionException(
                                "\"" + value + "\" is neither packed nor peft");
            };
        }
    }
}
