/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** The options that say how the tokens of an answer are chosen, by the names that vLLM has. */
final class SamplingOptions {

    /** What messages call the parameters, and the options that set them. */
    private static final Map<String, String> NAMES =
            Map.ofEntries(
                    Map.entry("temperature", "--temperature"),
                    Map.entry("topK", "--top-k"),
                    Map.entry("topP", "--top-p"),
                    Map.entry("minP", "--min-p"),
                    Map.entry("typicalP", "--typical-p"),
                    Map.entry("repetitionPenalty", "--repetition-penalty"),
                    Map.entry("presencePenalty", "--presence-penalty"),
                    Map.entry("frequencyPenalty", "--frequency-penalty"),
                    Map.entry("logitBias", "--logit-bias"),
                    Map.entry("maxNewTokens", "--max-new-tokens"),
                    Map.entry("minNewTokens", "--min-new-tokens"),
                    Map.entry("stopTokens", "--stop-token-ids"),
                    Map.entry("stopStrings", "--stop"),
                    Map.entry("logProbs", "--logprobs"),
                    Map.entry("bestOf", "--best-of"),
                    Map.entry("n", "--n"));

    private static final Pattern NAME =
            Pattern.compile("\\b(" + String.join("|", NAMES.keySet()) + ")\\b");

    @Spec(Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "How many tokens an answer has at most. Default: 64.")
    private int maxNewTokens;

    @Option(
            names = "--min-new-tokens",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "Before so many tokens no end of the text and no --stop-token-ids are chosen."
                            + " Default: 0.")
    private int minNewTokens;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            defaultValue = "0",
            description =
                    "0 takes the likeliest token each time; above, tokens are drawn, the more"
                            + " evenly the higher it is. Default: 0.")
    private double temperature;

    @Option(
            names = "--seed",
            paramLabel = "S",
            defaultValue = "0",
            description =
                    "The seed of what is drawn: prompt i, counted from 0, has the seed S + i."
                            + " Default: 0.")
    private long seed;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            defaultValue = "0",
            description = "Draw from the K likeliest tokens; 0 for all. Default: 0.")
    private int topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            defaultValue = "1",
            description =
                    "Draw from the fewest tokens that have this share of the probability."
                            + " Default: 1.")
    private double topP;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            defaultValue = "0",
            description =
                    "Draw from tokens that are at least so likely against the likeliest one."
                            + " Default: 0.")
    private double minP;

    @Option(
            names = "--typical-p",
            paramLabel = "P",
            defaultValue = "1",
            description =
                    "Draw from the tokens whose surprise is nearest to what is expected, as many"
                            + " as have this share of the probability. Default: 1.")
    private double typicalP;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "X",
            defaultValue = "1",
            description =
                    "Makes tokens of the prompt and the answer less likely, above 1."
                            + " Default: 1.")
    private double repetitionPenalty;

    @Option(
            names = "--presence-penalty",
            paramLabel = "X",
            defaultValue = "0",
            description = "Taken from the logits of tokens that the answer has. Default: 0.")
    private double presencePenalty;

    @Option(
            names = "--frequency-penalty",
            paramLabel = "X",
            defaultValue = "0",
            description =
                    "Taken from a token's logit for each time that the answer has it. Default: 0.")
    private double frequencyPenalty;

    @Option(
            names = "--logit-bias",
            paramLabel = "ID=X",
            description = "Added to the logit of a token. May be given many times.")
    private Map<Integer, Float> logitBias = new TreeMap<>();

    @Option(
            names = "--ignore-eos",
            description = "Go on behind the end of the text, to --max-new-tokens.")
    private boolean ignoreEos;

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description =
                    "Ends an answer where it occurs, and is no part of it. May be given many times.")
    private List<String> stop = List.of();

    @Option(
            names = "--stop-token-ids",
            paramLabel = "ID",
            split = ",",
            description = "Tokens that end an answer beside the model's own, with commas between.")
    private List<Integer> stopTokens = List.of();

    @Option(
            names = "--logprobs",
            paramLabel = "N",
            defaultValue = "-1",
            description =
                    "With --json: tell each token's log-probability and those of the N likeliest"
                            + " tokens, 0 to 20.")
    private int logProbs;

    @Option(
            names = "--n",
            paramLabel = "N",
            defaultValue = "1",
            description = "How many answers each prompt has, which draw differently. Default: 1.")
    private int answers;

    @Option(
            names = "--best-of",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "How many answers are generated, of which the likeliest are given; as --n if"
                            + " it is not.")
    private int bestOf;

    @ArgGroup private FormOption form;

    /**
     * Returns the parameters.
     *
     * @return the parameters of the first prompt
     * @throws ParameterException if an option's value is out of its range
     * @throws IOException if the schema's file cannot be read
     */
    SamplingParameters parameters() throws IOException {
        SamplingParameters.Builder builder =
                SamplingParameters.builder()
                        .maxNewTokens(maxNewTokens)
                        .minNewTokens(minNewTokens)
                        .temperature(temperature)
                        .seed(seed)
                        .topK(topK)
                        .topP(topP)
                        .minP(minP)
                        .typicalP(typicalP)
                        .repetitionPenalty(repetitionPenalty)
                        .presencePenalty(presencePenalty)
                        .frequencyPenalty(frequencyPenalty)
                        .logitBias(logitBias)
                        .ignoreEos(ignoreEos)
                        .stopStrings(stop)
                        .stopTokens(new TreeSet<>(stopTokens))
                        .logProbs(logProbs)
                        .n(answers)
                        .bestOf(bestOf)
                        .constraint(form == null ? null : form.constraint());
        try {
            return builder.build();
        } catch (LoraConfigurationException e) {
            String message =
                    NAME.matcher(e.getMessage()).replaceAll(name -> NAMES.get(name.group()));
            throw new ParameterException(spec.commandLine(), message, e);
        }
    }
}
