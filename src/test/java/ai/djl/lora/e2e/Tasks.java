/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.util.Locale;
import java.util.stream.IntStream;

/** What the demo model's adapters do, written down a second time: the oracle of its answers. */
final class Tasks {

    private static final String VOWELS = "aeiou";

    private Tasks() {}

    /** Returns the right answer to a word under an adapter; the base model repeats the word. */
    static String answer(String adapter, String word) {
        return switch (adapter) {
            case "" -> word;
            case "upper" -> word.toUpperCase(Locale.ROOT);
            case "reverse" -> new StringBuilder(word).reverse().toString();
            case "rot13" -> map(word, c -> (char) ('a' + (c - 'a' + 13) % 26));
            case "sort" -> map(word.chars().sorted(), c -> c);
            case "piglatin" -> pigLatin(word);
            case "vowels" ->
                    String.valueOf(word.chars().filter(c -> VOWELS.indexOf(c) >= 0).count());
            case "mask" -> map(word, c -> VOWELS.indexOf(c) >= 0 ? '*' : c);
            default -> throw new IllegalArgumentException("Unknown adapter " + adapter);
        };
    }

    private static String pigLatin(String word) {
        int start = 0;
        while (start < word.length() && VOWELS.indexOf(word.charAt(start)) < 0) {
            ++start;
        }
        return start == 0 ? word + "way" : word.substring(start) + word.substring(0, start) + "ay";
    }

    private static String map(String word, CharMap map) {
        return map(word.chars(), map);
    }

    private static String map(IntStream letters, CharMap map) {
        StringBuilder text = new StringBuilder();
        letters.forEach(c -> text.append(map.apply((char) c)));
        return text.toString();
    }

    private interface CharMap {

        char apply(char c);
    }
}
