/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.lora.op.BatchPlan;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.ZooModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Compares a model's logits with those of a golden file. */
@Command(
        name = "verify",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Checks that a model, with an adapter or without, answers as it did elsewhere.",
            "",
            "Runs the model on a golden file's input_ids and compares with its logits. Prints the"
                    + " largest absolute and relative difference, the root-mean-square (RMS) error"
                    + " beside the logits' standard deviation, and the share of positions whose top"
                    + " token agrees. The exit code is 0 within the tolerance and 1 beyond it.",
            ""
        },
        footerHeading = "%nThe golden file:%n",
        footer = {
            "A safetensors file with input_ids, int64 [batch, sequence], and logits, float32"
                    + " [batch, sequence, vocabulary], as this writes it in Python:",
            "",
            "    from safetensors.torch import save_file",
            "    logits = model(input_ids=input_ids).logits.float().contiguous()",
            "    save_file({\"input_ids\": input_ids, \"logits\": logits}, \"golden.safetensors\")"
        })
final class VerifyCommand implements Callable<Integer> {

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR_OR_URL",
            description = "The base model: a folder in Hugging Face layout, or a URL.")
    private String modelSource;

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "The adapter's folder, as PEFT writes it. Default: the base model alone.")
    private Path adapter;

    @Option(
            names = "--golden",
            required = true,
            paramLabel = "FILE",
            description = "The golden file, in safetensors format.")
    private Path goldenFile;

    @Option(
            names = "--tolerance",
            paramLabel = "X",
            description =
                    "The largest absolute difference that passes. Default: 1e-4 in float32; in"
                            + " the 16-bit types and with int8 adapters, whose rounding grows with"
                            + " the logits, an RMS error of 2 %%"
                            + " of the logits' standard deviation instead.")
    private Double tolerance;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws Exception {
        if (tolerance != null && !(tolerance >= 0 && tolerance < Double.POSITIVE_INFINITY)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '--tolerance': "
                            + tolerance
                            + " is not a finite number of 0 or more");
        }
        PrintWriter out = spec.commandLine().getOut();
        GoldenLogits golden = GoldenLogits.read(goldenFile);
        try (Progress progress = new Progress(spec.commandLine().getErr())) {
            progress.step("loading %s", modelSource);
            try (ZooModel<NDList, NDList> model = options.open(modelSource)) {
                CausalLanguageModel block = ModelOptions.blockOf(model);
                golden.checkFits(
                        block.getConfig().vocabSize(), block.getConfig().maxPositionEmbeddings());
                Comparison comparison = compare(block, golden, progress);
                progress.clear();
                out.printf(
                        "computed by backend %s in %s: %d rows of %d tokens%n",
                        block.getLoraContext().getBackend().getName(),
                        block.getLoraContext().getType(),
                        golden.batch(),
                        golden.sequence());
                return report(comparison, out);
            }
        }
    }

    private Comparison compare(CausalLanguageModel block, GoldenLogits golden, Progress progress) {
        if (adapter == null) {
            return GoldenRun.compare(block, golden, BatchPlan.BASE, progress);
        }
        String name = "adapter";
        block.getAdapters().register(name, adapter);
        try (AdapterLease lease = block.getAdapters().acquire(name)) {
            return GoldenRun.compare(block, golden, lease.getSlot(), progress);
        }
    }

    private int report(Comparison comparison, PrintWriter out) {
        out.printf(
                Locale.ROOT,
                "largest absolute difference  %.3g%n"
                        + "largest relative difference  %.3g%n"
                        + "RMS error                    %.3g, %.3g %% of the logits' standard"
                        + " deviation%n"
                        + "top token agrees             at %d of %d positions, %.2f %%%n",
                comparison.largestAbsolute(),
                comparison.largestRelative(),
                comparison.rmsError(),
                100 * comparison.relativeRmsError(),
                comparison.sameTop(),
                comparison.positions(),
                100 * comparison.sameTopShare());
        GoldenRun.Verdict verdict =
                GoldenRun.judge(comparison, Optional.ofNullable(tolerance), options.rounds());
        out.printf(
                "%s the tolerance (%s)%n",
                verdict.passes() ? "within" : "BEYOND", verdict.criterion());
        return verdict.passes() ? 0 : DjlLora.EXIT_DIFFERS;
    }
}
