/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.convert.CheckpointMerger;
import ai.djl.lora.model.LlamaConfig;
import ai.djl.lora.model.LlamaLayout;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a checkpoint that answers as a model does with an adapter. */
@Command(
        name = "merge",
        description = {
            "Writes a checkpoint that answers as the model does with the adapter.",
            "",
            "Weights are merged in float32, tensor by tensor, and rounded once; configuration and"
                    + " tokenizer are the base's. Where the adapter changes one of two tied"
                    + " embeddings, or gives layers a bias, the configuration is changed to that."
                    + " Virtual tokens (prompt tuning, P-tuning), prefixes and activated LoRA are"
                    + " no weights, and are refused.",
            ""
        })
final class MergeCommand implements Callable<Integer> {

    private static final String AUTO = "auto";

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

    @Parameters(index = "1", paramLabel = "OUT", description = "The folder to write.")
    private Path target;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR",
            description = "The base model: a folder in Hugging Face layout.")
    private String model;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = AUTO,
            description =
                    "The type of the written weights: auto (each as the base's), float32, float16"
                            + " or bfloat16. Default: auto.")
    private String type;

    @Option(
            names = "--force",
            description =
                    "Replace OUT if it is there: a folder with config.json and nothing but files.")
    private boolean force;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        Output.checkFree(target, force);
        Optional<ElementType> chosen = chosenType();
        Path folder = ModelOptions.folder(model);
        LlamaConfig config = LlamaConfig.read(folder);
        ModelLayout layout = LlamaLayout.read(folder);
        LoadingPolicy policy = LoadingPolicy.builder().optBaseDirectory(folder).build();
        LoraAdapter loaded = AdapterLoader.load(adapter, layout, policy);
        List<String> left =
                new CheckpointMerger(folder, layout, LlamaLayout.biasFields(config))
                        .merge(loaded, target, chosen, force);
        ReportPrinter printer = new ReportPrinter(spec.commandLine().getOut());
        printer.line("written", target.toString());
        printer.line("adapter", loaded.changes().variants() + ", revision " + loaded.revision());
        left.forEach(name -> printer.line("not copied", name));
        return 0;
    }

    private Optional<ElementType> chosenType() {
        if (AUTO.equals(type)) {
            return Optional.empty();
        }
        for (ElementType each : ElementType.values()) {
            if (each.label().equals(type)) {
                return Optional.of(each);
            }
        }
        throw new ParameterException(
                spec.commandLine(),
                "Invalid value for option '--dtype': \""
                        + type
                        + "\" is none of auto, float32, float16, bfloat16");
    }
}
