/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.ArrayList;
import java.util.List;

/**
 * The text of one answer while its tokens come: up to the first of some stop strings, and without
 * the token that ends it.
 *
 * <p>Filled by the engine's thread, token by token, and read by others.
 */
final class AnswerText {

    private final StreamingDecoder decoder;
    private final StopStrings stops;
    private final StringBuilder text = new StringBuilder();

    /** For each token that is text, where the text that is certain ended behind it. */
    private final List<Integer> ends = new ArrayList<>();

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
    synchronized boolean add(int token) {
        String more = decoder.push(token);
        text.append(stops == null ? more : stops.push(more));
        ends.add(text.length());
        return stops != null && stops.match().isPresent();
    }

    /** Returns the text that a token made certain, one that was not the last. */
    synchronized String added(int index) {
        return text.substring(before(index), ends.get(index));
    }

    /** Returns the text that the last token adds, with what waited for more. */
    synchronized String rest(int index) {
        return finish().substring(before(index));
    }

    private int before(int index) {
        return index == 0 ? 0 : ends.get(index - 1);
    }

    /** Returns the text that is certain. */
    synchronized String soFar() {
        return text.toString();
    }

    /** Returns the whole text. */
    synchronized String finish() {
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
