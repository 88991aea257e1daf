/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.List;

/**
 * The text of one answer while its tokens come: up to the first of some stop strings, and without
 * the token that ends it.
 *
 * <p>Filled by the engine's thread, read when the answer is there.
 */
final class AnswerText {

    private final StreamingDecoder decoder;
    private final StopStrings stops;
    private final StringBuilder text = new StringBuilder();

    /**
     * Constructs a new {@code AnswerText} instance.
     *
     * @param tokenizer the model's tokenizer
     * @param prompt the prompt's token ids
     * @param stopStrings what ends the text; none for nothing
     */
    AnswerText(TextTokenizer tokenizer, int[] prompt, List<String> stopStrings) {
        this.decoder = new StreamingDecoder(tokenizer, prompt);
        this.stops = stopStrings.isEmpty() ? null : new StopStrings(stopStrings);
    }

    /**
     * Takes a token that is text.
     *
     * @return whether the text ends with it
     */
    boolean add(int token) {
        String more = decoder.push(token);
        text.append(stops == null ? more : stops.push(more));
        return stops != null && stops.match().isPresent();
    }

    /** Returns the length of the text that is certain. */
    int length() {
        return text.length();
    }

    /** Returns a part of the text that is certain. */
    String substring(int from, int to) {
        return text.substring(from, to);
    }

    /** Returns the whole text. */
    String finish() {
        String rest = decoder.finish();
        if (stops == null) {
            return text.append(rest).toString();
        }
        if (stops.match().isEmpty()) {
            text.append(stops.push(rest)).append(stops.finish());
        }
        return text.toString();
    }
}
