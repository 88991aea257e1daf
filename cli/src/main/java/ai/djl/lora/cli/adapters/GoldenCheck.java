/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.ModelException;
import ai.djl.lora.adapter.Issue;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cli.Comparison;
import ai.djl.lora.cli.GoldenRun;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.cli.Progress;
import ai.djl.lora.json.Message;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * Runs a model with an adapter on a golden file, and adds to the adapter's report what came out.
 */
final class GoldenCheck {

    /** The code of what this check finds. */
    static final String CODE = "golden";

    private final ModelOptions options;
    private final String model;
    private final GoldenLogits golden;
    private final Path goldenFile;

    /**
     * Constructs a new {@code GoldenCheck} instance.
     *
     * @param options how to run the model
     * @param model the model's folder
     * @param golden what the answers must be
     * @param goldenFile where that was read
     */
    GoldenCheck(ModelOptions options, String model, GoldenLogits golden, Path goldenFile) {
        this.options = options;
        this.model = model;
        this.golden = golden;
        this.goldenFile = goldenFile;
    }

    /**
     * Runs the check, unless the adapter is refused already.
     *
     * @param report what is known of the adapter
     * @param adapter the adapter's folder or file
     * @param policy how strict its loading is
     * @param err whom to tell how far it has come
     * @return the report with one issue more
     */
    LoadReport run(LoadReport report, Path adapter, LoadingPolicy policy, PrintWriter err)
            throws IOException, ModelException {
        if (!report.isAccepted()) {
            return report.with(
                    new Issue(Severity.INFO, CODE, file() + ": not run, the adapter is refused"));
        }
        try (Progress progress = new Progress(err)) {
            progress.step("loading %s", model);
            try (ZooModel<NDList, NDList> loaded = options.open(model)) {
                CausalLanguageModel block = ModelOptions.blockOf(loaded);
                golden.checkFits(
                        block.getConfig().vocabSize(), block.getConfig().maxPositionEmbeddings());
                block.getAdapters().register("adapter", adapter, policy);
                try (AdapterLease lease = block.getAdapters().acquire("adapter")) {
                    return report.with(
                            issue(GoldenRun.compare(block, golden, lease.getSlot(), progress)));
                }
            }
        }
    }

    private Issue issue(Comparison comparison) {
        GoldenRun.Verdict verdict = GoldenRun.judge(comparison, Optional.empty(), options.rounds());
        String message =
                String.format(
                        Locale.ROOT,
                        "%s: the largest absolute difference is %.3g and the RMS error %.3g, %s the"
                                + " tolerance (%s)",
                        file(),
                        comparison.largestAbsolute(),
                        comparison.rmsError(),
                        verdict.passes() ? "within" : "beyond",
                        verdict.criterion());
        return new Issue(verdict.passes() ? Severity.INFO : Severity.ERROR, CODE, message);
    }

    private String file() {
        return Message.oneLine(goldenFile.toString());
    }
}
