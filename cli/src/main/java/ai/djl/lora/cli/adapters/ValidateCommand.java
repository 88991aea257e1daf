/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.ModelException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.TokenizerComparison;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.lora.model.LlamaLayout;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says whether an adapter fits a model. */
@Command(
        name = "validate",
        description = {
            "Says whether an adapter fits a model, and what each of its parts does.",
            "",
            "Reads the model's configuration and the descriptions of its weights, but no weight,"
                    + " and the adapter once. Prints a report: for each module the method, the"
                    + " rank, the scale, the type and the size; what is ignored and what is"
                    + " missing; and every issue.",
            ""
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            " 0:full: every tensor is used, and none is missing",
            " 2:the adapter or the model cannot be read at all",
            " 3:partial: it loads only where what is ignored or missing is allowed by name",
            " 4:none: it is refused whatever is allowed",
            "70:an unexpected failure"
        })
final class ValidateCommand implements Callable<Integer> {

    private static final int EXIT_PARTIAL = 3;
    private static final int EXIT_NONE = 4;

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Parameters(
            paramLabel = "ADAPTER",
            description = "The adapter: a folder as PEFT writes it, or a file.")
    private Path adapter;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR",
            description = "The base model: a folder in Hugging Face layout.")
    private String model;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Option(
            names = "--against",
            paramLabel = "GOLDEN",
            description =
                    "Also run the model with the adapter on a golden file, as 'djl-lora verify'"
                            + " does; a difference beyond its tolerance is an error. --dtype,"
                            + " --backend and --adapter-dtype are for this run.")
    private Path goldenFile;

    @Option(
            names = "--allow-unused",
            paramLabel = "PATTERN",
            description =
                    "Accept tensors that nothing in the model uses, if this regular expression"
                            + " matches the whole name. May be given many times.")
    private List<String> allowUnused = List.of();

    @Option(
            names = "--allow-missing",
            paramLabel = "PATTERN",
            description =
                    "Accept that modules or tensors are missing, if this regular expression"
                            + " matches the whole name. May be given many times.")
    private List<String> allowMissing = List.of();

    @Option(
            names = "--expect-revision",
            paramLabel = "SHA256",
            description = "The revision that the adapter must have, 64 hexadecimal digits.")
    private String revision;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException, ModelException {
        Path folder = ModelOptions.folder(model);
        LoadingPolicy policy = policy(folder);
        GoldenLogits golden = goldenFile == null ? null : GoldenLogits.read(goldenFile);
        LoadReport report = AdapterLoader.validate(adapter, LlamaLayout.read(folder), policy);
        PrintWriter out = spec.commandLine().getOut();
        if (golden != null) {
            GoldenCheck check = new GoldenCheck(options, model, golden, goldenFile);
            report = check.run(report, adapter, policy, spec.commandLine().getErr());
        }
        if (json) {
            JsonPrinter.print(out, report.toJson());
        } else {
            print(report, out);
        }
        return switch (report.compatibility()) {
            case FULL -> 0;
            case PARTIAL -> EXIT_PARTIAL;
            case NONE -> EXIT_NONE;
        };
    }

    private LoadingPolicy policy(Path folder) {
        LoadingPolicy.Builder policy = LoadingPolicy.builder().optBaseDirectory(folder);
        allowUnused.forEach(p -> option("--allow-unused", p, policy::allowUnused));
        allowMissing.forEach(p -> option("--allow-missing", p, policy::allowMissing));
        if (revision != null) {
            String lower = revision.toLowerCase(Locale.ROOT);
            option("--expect-revision", lower, policy::optRevision);
        }
        return policy.build();
    }

    private void option(String name, String value, Function<String, LoadingPolicy.Builder> setter) {
        try {
            setter.apply(value);
        } catch (PatternSyntaxException e) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '"
                            + name
                            + "': \""
                            + value
                            + "\" is no regular expression: "
                            + e.getDescription(),
                    e);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '" + name + "': " + e.getMessage(),
                    e);
        }
    }

    private void print(LoadReport report, PrintWriter out) {
        ReportPrinter printer = new ReportPrinter(out);
        printer.line("adapter", report.source().toString());
        printer.line(
                "compatibility",
                report.compatibility().name().toLowerCase(Locale.ROOT)
                        + (report.isAccepted() ? ", accepted" : ", refused"));
        printer.line("score", String.format(Locale.ROOT, "%.3f", report.score()));
        report.reasons().forEach(reason -> printer.line("  less", reason));
        printer.line("revision", report.revision().orElse("not known"));
        printer.line("time", String.format(Locale.ROOT, "%.3f s", seconds(report)));
        report.tokenizer().ifPresent(comparison -> print(comparison, printer));
        printer.modules(report.modules());
        printer.findings(report);
    }

    private static void print(TokenizerComparison comparison, ReportPrinter printer) {
        printer.line("tokenizer", words(comparison.tokenizer()));
        printer.line("added tokens", words(comparison.addedTokens()));
        printer.line("chat template", words(comparison.chatTemplate()));
    }

    private static String words(TokenizerComparison.Relation relation) {
        return switch (relation) {
            case ABSENT -> "none with the adapter";
            case SAME -> "the model's own";
            case DIFFERENT -> "another than the model's";
            case ONLY_ADAPTER -> "with the adapter; the model has none";
        };
    }

    private static double seconds(LoadReport report) {
        return report.loadTime().toNanos() / 1e9;
    }
}
