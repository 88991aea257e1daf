/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.translate.TextChunk;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Answers of {@code /v1/completions}. */
final class CompletionFormat extends OpenAiFormat {

    private final TokenLogProbs logProbs;
    private final Map<Integer, Integer> offsets = new HashMap<>();

    /**
     * Constructs a new {@code CompletionFormat} instance.
     *
     * @param id names the answer
     * @param model the model as it was asked for
     * @param n the answers to each input
     * @param usage whether a stream ends with how many tokens there were
     * @param logProbs writes log-probabilities; null where none were asked for
     */
    CompletionFormat(String id, String model, int n, boolean usage, TokenLogProbs logProbs) {
        super(id, model, n, usage);
        this.logProbs = logProbs;
    }

    /** {@inheritDoc} */
    @Override
    String kind() {
        return "text_completion";
    }

    /** {@inheritDoc} */
    @Override
    String pieceKind() {
        return kind();
    }

    /** {@inheritDoc} */
    @Override
    boolean hasLogProbs() {
        return logProbs != null;
    }

    /** {@inheritDoc} */
    @Override
    void addWhole(JsonObject choice, TextResult answer) {
        choice.addProperty("text", answer.text());
        choice.add(
                "logprobs",
                logProbs == null ? JsonNull.INSTANCE : logProbs.completion(answer.samples(), 0));
    }

    /** {@inheritDoc} */
    @Override
    void addPiece(JsonObject choice, TextChunk chunk, List<Sample> samples) {
        choice.addProperty("text", chunk.text());
        if (logProbs == null) {
            choice.add("logprobs", JsonNull.INSTANCE);
            return;
        }
        int index = choice.get("index").getAsInt();
        int offset = offsets.getOrDefault(index, 0);
        JsonObject written = logProbs.completion(samples, offset);
        int length = written.getAsJsonArray("tokens").get(0).getAsString().length();
        offsets.put(index, offset + length);
        choice.add("logprobs", written);
    }

    /** {@inheritDoc} */
    @Override
    boolean addBegin(JsonObject choice) {
        return false;
    }
}
