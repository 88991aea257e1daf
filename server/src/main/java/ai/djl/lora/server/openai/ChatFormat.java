/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.translate.TextChunk;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.util.List;

/** Answers of {@code /v1/chat/completions}. */
final class ChatFormat extends OpenAiFormat {

    private final TokenLogProbs logProbs;

    /**
     * Constructs a new {@code ChatFormat} instance.
     *
     * @param id names the answer
     * @param model the model as it was asked for
     * @param n the answers to each input
     * @param usage whether a stream ends with how many tokens there were
     * @param logProbs writes log-probabilities; null where none were asked for
     */
    ChatFormat(String id, String model, int n, boolean usage, TokenLogProbs logProbs) {
        super(id, model, n, usage);
        this.logProbs = logProbs;
    }

    /** {@inheritDoc} */
    @Override
    String kind() {
        return "chat.completion";
    }

    /** {@inheritDoc} */
    @Override
    String pieceKind() {
        return "chat.completion.chunk";
    }

    /** {@inheritDoc} */
    @Override
    boolean hasLogProbs() {
        return logProbs != null;
    }

    /** {@inheritDoc} */
    @Override
    void addWhole(JsonObject choice, TextResult answer) {
        JsonObject message = new JsonObject();
        message.addProperty("role", "assistant");
        message.addProperty("content", answer.text());
        message.add("refusal", JsonNull.INSTANCE);
        choice.add("message", message);
        addLogProbs(choice, answer.samples());
    }

    /** {@inheritDoc} */
    @Override
    void addPiece(JsonObject choice, TextChunk chunk, List<Sample> samples) {
        JsonObject delta = new JsonObject();
        if (!chunk.text().isEmpty()) {
            delta.addProperty("content", chunk.text());
        }
        choice.add("delta", delta);
        addLogProbs(choice, samples);
    }

    /** {@inheritDoc} */
    @Override
    boolean addBegin(JsonObject choice) {
        JsonObject delta = new JsonObject();
        delta.addProperty("role", "assistant");
        delta.addProperty("content", "");
        choice.add("delta", delta);
        choice.add("logprobs", JsonNull.INSTANCE);
        return true;
    }

    private void addLogProbs(JsonObject choice, List<Sample> samples) {
        choice.add("logprobs", logProbs == null ? JsonNull.INSTANCE : logProbs.chat(samples));
    }
}
