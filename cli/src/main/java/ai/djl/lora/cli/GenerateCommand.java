/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.translate.TextResult;
import ai.djl.lora.translate.TextTokenizer;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Answers the prompts of a file as one mixed batch. */
@Command(
        name = "generate",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Answers prompts, each by the adapter that it names, all in one batch.",
            "",
            "Input is one JSON object a line, in UTF-8:",
            "    {\"prompt\": \"hello=\", \"adapter\": \"upper\"}",
            "An empty adapter, or none, is the base model. Empty lines are passed over; a line that"
                    + " is wrong ends the command before anything is generated, and is named by its"
                    + " number.",
            ""
        },
        footerHeading = "%nOutput with --json:%n",
        footer = {
            "One object a line, in the order of the input; tokens are the generated ids, and"
                    + " finish_reason is stop (the text has ended, as the model, a stop or its form"
                    + " says) or length (--max-new-tokens or the model's positions were used up):",
            "{\"index\":0,\"adapter\":\"upper\",\"text\":\"A\",\"tokens\":[44,2],\"finish_reason\":\"stop\"}",
            "With --n above 1 those are the first answer's, and choices has all of them. With"
                    + " --logprobs an answer has logprobs, a list of token_id, logprob and"
                    + " top_logprobs; with them or --best-of it has their sum,"
                    + " cumulative_logprob.",
            "Where --residency lets another answer for an adapter that cannot be had, substituted_by is"
                    + " base or previous_revision, and substitution_reason says why."
        })
final class GenerateCommand implements Callable<Integer> {

    private static final String STDIN = "-";

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR_OR_URL",
            description =
                    "The base model: a folder in Hugging Face layout (config.json, safetensors,"
                            + " tokenizer.json), or a URL such as djl-lora://demo.")
    private String modelSource;

    @Option(
            names = "--adapter",
            paramLabel = "NAME=DIR",
            converter = AdapterSource.Converter.class,
            description =
                    "An adapter's folder, as PEFT writes it, and the name by which prompts ask for"
                            + " it. May be given many times.")
    private List<AdapterSource> adapters = List.of();

    @Option(
            names = "--stack",
            paramLabel = "NAME=ADAPTER:WEIGHT,...",
            converter = StackSource.Converter.class,
            description =
                    "A name for several adapters at once, each with a weight: prompts that ask for it"
                            + " add the weighted sum of their products. May be given many times.")
    private List<StackSource> stacks = List.of();

    @Mixin private SamplingOptions sampling;

    @Option(
            names = "--input",
            paramLabel = "FILE",
            defaultValue = STDIN,
            description = "The prompts; - is standard input. Default: -.")
    private String input;

    @Option(names = "--json", description = "Print one JSON object for each prompt.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws Exception {
        checkOptions();
        SamplingParameters parameters = sampling.parameters();
        List<PromptReader.Line> lines = readInput();
        PrintWriter out = spec.commandLine().getOut();
        try (Progress progress = new Progress(spec.commandLine().getErr())) {
            progress.step("loading %s", modelSource);
            try (ZooModel<NDList, NDList> model = options.open(modelSource);
                    TextTokenizer tokenizer = TextTokenizer.open(model.getModelPath(), null)) {
                CausalLanguageModel block = ModelOptions.blockOf(model);
                for (AdapterSource adapter : adapters) {
                    progress.step("loading adapter %s", adapter.name());
                    block.getAdapters().register(adapter.name(), adapter.directory());
                }
                for (StackSource stack : stacks) {
                    block.getAdapters().registerStack(stack.name(), stack.parts());
                }
                TextBatch batch = new TextBatch(tokenizer);
                for (int i = 0; i < lines.size(); ++i) {
                    long seed = parameters.seed() + i;
                    batch.add(lines.get(i), parameters.toBuilder().seed(seed).build());
                }
                List<TextResult> answers = batch.run(block, progress);
                progress.clear();
                for (int i = 0; i < answers.size(); ++i) {
                    if (json) {
                        out.println(AnswerLine.of(i, answers.get(i)));
                    } else {
                        printReadable(lines.get(i), answers.get(i), out);
                    }
                }
            }
        }
        return 0;
    }

    private void checkOptions() {
        Set<String> names = new HashSet<>();
        for (AdapterSource adapter : adapters) {
            if (!names.add(adapter.name())) {
                throw invalid("--adapter", adapter.name(), "is given twice");
            }
        }
    }

    private ParameterException invalid(String option, Object value, String reason) {
        return new ParameterException(
                spec.commandLine(),
                "Invalid value for option '" + option + "': " + value + " " + reason);
    }

    private List<PromptReader.Line> readInput() throws IOException {
        PromptReader reader = new PromptReader(List.of("prompt", "adapter"), Set.of("prompt"));
        boolean stdin = STDIN.equals(input);
        List<PromptReader.Line> lines;
        try (InputStream stream = stdin ? System.in : Files.newInputStream(Path.of(input))) {
            lines = reader.read(stream, stdin ? "standard input" : input);
        }
        if (lines.isEmpty()) {
            throw new LoraConfigurationException(
                    (stdin ? "standard input" : input) + ": has no prompts");
        }
        return lines;
    }

    private static void printReadable(PromptReader.Line line, TextResult result, PrintWriter out) {
        String substituted =
                result.substitution()
                        .map(
                                by ->
                                        ", answered by "
                                                + by.by().name().toLowerCase(Locale.ROOT)
                                                + ": "
                                                + by.reason())
                        .orElse("");
        out.printf("[%s%s] %s%n", name(result.adapter()), substituted, line.get("prompt"));
        List<TextResult> answers = result.answers();
        for (int i = 0; i < answers.size(); ++i) {
            String mark = answers.size() > 1 ? i + 1 + ": " : "";
            String indent = "    " + " ".repeat(mark.length());
            String text = answers.get(i).text();
            if (!text.isEmpty() || !mark.isEmpty()) {
                out.println(
                        "    "
                                + mark
                                + String.join(
                                        System.lineSeparator() + indent, text.lines().toList()));
            }
        }
        out.println();
    }

    private static String name(String adapter) {
        return adapter.isEmpty() ? "base" : adapter;
    }
}
