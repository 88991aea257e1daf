/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** How a revision is tried before requests get it. */
final class TrialOptions {

    @Option(
            names = "--golden",
            paramLabel = "FILE",
            description =
                    "Prompts whose answers are known, a JSON object a line: prompt, expected, and"
                            + " perhaps adapter (lines of other adapters are left out) and"
                            + " max_tokens.")
    private Path golden;

    @Option(
            names = "--golden-logits",
            paramLabel = "SOURCE",
            description =
                    "A safetensors file of input_ids and logits, as 'verify' takes it, where the"
                            + " server can read it: a path on its machine or an address, from an"
                            + " allowed source.")
    private String goldenLogits;

    @Option(
            names = "--golden-tolerance",
            paramLabel = "NUMBER",
            description =
                    "How far the logarithm of a token's probability may lie from that of"
                            + " --golden-logits. Default: 0.001, or 0.5 where the model has numbers of"
                            + " 16 bits.")
    private Double goldenTolerance;

    @Option(
            names = "--smoke-prompt",
            paramLabel = "TEXT",
            description = "A prompt that must be answered; empty for none. Default: Hello.")
    private String smokePrompt;

    @Option(
            names = "--trial-seconds",
            paramLabel = "NUMBER",
            description = "How long the trial may take. Default: 60.")
    private Double trialSeconds;

    /** Adds what is asked to a request. */
    void addTo(JsonObject body, String adapter) throws IOException {
        if (smokePrompt != null) {
            body.addProperty("smoke_prompt", smokePrompt);
        }
        if (trialSeconds != null) {
            body.addProperty("trial_seconds", trialSeconds);
        }
        if (golden != null) {
            body.add("golden", read(adapter));
        }
        if (goldenLogits != null) {
            body.addProperty("golden_logits", SourceParameter.absolute(goldenLogits));
        }
        if (goldenTolerance != null) {
            body.addProperty("golden_tolerance", goldenTolerance);
        }
    }

    /** Returns what is asked as parameters of a request whose body is an archive. */
    String query() {
        if (golden != null || goldenLogits != null || goldenTolerance != null) {
            throw new LoraConfigurationException(
                    "--golden cannot go with --upload, nor the options that begin so, since the"
                            + " archive is all that is sent; the server must read the source"
                            + " itself");
        }
        StringBuilder query = new StringBuilder();
        if (trialSeconds != null) {
            query.append("&trial_seconds=").append(trialSeconds);
        }
        if (smokePrompt != null) {
            query.append("&smoke_prompt=").append(AdapterClient.encoded(smokePrompt));
        }
        return query.toString();
    }

    private JsonArray read(String adapter) throws IOException {
        JsonArray prompts = new JsonArray();
        List<String> lines = Files.readAllLines(golden);
        for (int i = 0; i < lines.size(); ++i) {
            if (!lines.get(i).isBlank()) {
                JsonObject line = StrictJson.parseObject(lines.get(i), golden + " line " + (i + 1));
                JsonElement named = line.remove("adapter");
                if (named == null || named.getAsString().equals(adapter)) {
                    prompts.add(line);
                }
            }
        }
        if (prompts.isEmpty()) {
            throw new LoraConfigurationException(
                    golden + ": no line is of adapter " + adapter + "; one at least is needed");
        }
        return prompts;
    }
}
