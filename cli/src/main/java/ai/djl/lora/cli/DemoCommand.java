/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.translate.TextResult;
import ai.djl.lora.translate.TextTokenizer;
import ai.djl.lora.zoo.DemoModel;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Answers the bundled model's example prompts as one mixed batch. */
@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Runs the bundled model with all its adapters, in one batch.",
            "",
            "The model is small and was trained for this: it repeats a word, and each adapter"
                    + " makes it do one thing else with the word. Prints a table of adapter, prompt"
                    + " and answer, whether each answer is the expected one, and the speed. The exit"
                    + " code is 1 if one is not.",
            ""
        })
final class DemoCommand implements Callable<Integer> {

    private static final String URL = "djl-lora://demo";
    private static final int MAX_NEW_TOKENS = 16;

    @Spec private CommandSpec spec;

    @Mixin private ModelOptions options;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws Exception {
        PrintWriter out = spec.commandLine().getOut();
        List<PromptReader.Line> lines = prompts();
        try (Progress progress = new Progress(spec.commandLine().getErr())) {
            progress.step("loading the demo model");
            try (ZooModel<NDList, NDList> model = options.open(URL);
                    TextTokenizer tokenizer = TextTokenizer.open(model.getModelPath(), null)) {
                CausalLanguageModel block = ModelOptions.blockOf(model);
                TextBatch batch = new TextBatch(tokenizer);
                for (PromptReader.Line line : lines) {
                    batch.add(line, SamplingParameters.greedy(MAX_NEW_TOKENS));
                }
                List<TextResult> answers = batch.run(block, progress);
                progress.clear();
                boolean right = print(lines, answers, out);
                printSpeed(batch, block, out);
                return right ? 0 : DjlLora.EXIT_DIFFERS;
            }
        }
    }

    private static List<PromptReader.Line> prompts() throws IOException {
        List<String> fields = List.of("adapter", "prompt", "expected");
        Path file = DemoModel.extract().baseFolder().resolveSibling("prompts.jsonl");
        try (InputStream stream = Files.newInputStream(file)) {
            return new PromptReader(fields, Set.copyOf(fields)).read(stream, file.toString());
        }
    }

    private static boolean print(
            List<PromptReader.Line> lines, List<TextResult> answers, PrintWriter out) {
        TextTable table = new TextTable("adapter", "prompt", "answer", "");
        boolean right = true;
        for (int i = 0; i < lines.size(); ++i) {
            PromptReader.Line line = lines.get(i);
            TextResult answer = answers.get(i);
            boolean same = answer.text().equals(line.get("expected"));
            right &= same;
            table.add(
                    answer.adapter().isEmpty() ? "(base)" : answer.adapter(),
                    line.get("prompt"),
                    answer.text(),
                    same ? "as expected" : "WRONG, expected " + line.get("expected"));
        }
        table.print(out);
        return right;
    }

    private static void printSpeed(TextBatch batch, CausalLanguageModel model, PrintWriter out) {
        long tokens = batch.statistics().newTokens();
        out.printf(
                Locale.ROOT,
                "%n%d prompts, %d adapters and the base in one batch: %d tokens in %.2f s, %.0f tokens/s%n",
                batch.size(),
                model.getAdapters().names().size(),
                tokens,
                batch.seconds(),
                tokens / batch.seconds());
        out.printf(
                "backend %s, %s%n",
                model.getLoraContext().getBackend().getName(), model.getLoraContext().getType());
    }
}
