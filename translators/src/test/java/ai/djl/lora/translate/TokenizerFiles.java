/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import com.google.gson.Gson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes small {@code tokenizer.json} files. */
final class TokenizerFiles {

    static final int UNKNOWN = 0;
    static final int BEGIN = 1;
    static final int END = 2;
    static final int FIRST_CHARACTER = 3;

    private TokenizerFiles() {}

    /**
     * Writes a tokenizer with one token for each printable ASCII character, from id 3, which puts
     * the begin-of-text token in front, and asks for padding and truncation.
     *
     * @param folder the folder to write to
     */
    static void writeCharacters(Path folder) throws IOException {
        Map<String, Integer> vocabulary = specialTokens();
        for (char c = ' '; c < 127; ++c) {
            vocabulary.put(String.valueOf(c), FIRST_CHARACTER + c - ' ');
        }
        Map<String, Object> split = new LinkedHashMap<>();
        split.put("type", "Split");
        split.put("pattern", Map.of("Regex", "[\\s\\S]"));
        split.put("behavior", "Isolated");
        split.put("invert", false);
        write(folder, vocabulary, split, Map.of("type", "Fuse"));
    }

    /**
     * Writes a tokenizer with one token for each of some words, whose decoder drops the space at
     * the start of a text as SentencePiece's does.
     *
     * @param folder the folder to write to
     * @param words the words, from id 3
     */
    static void writeWords(Path folder, String... words) throws IOException {
        Map<String, Integer> vocabulary = specialTokens();
        for (String word : words) {
            vocabulary.put("\u2581" + word, vocabulary.size());
        }
        Map<String, Object> metaspace = new LinkedHashMap<>();
        metaspace.put("type", "Metaspace");
        metaspace.put("replacement", "\u2581");
        metaspace.put("prepend_scheme", "always");
        metaspace.put("split", true);
        write(folder, vocabulary, metaspace, metaspace);
    }

    private static Map<String, Integer> specialTokens() {
        Map<String, Integer> vocabulary = new LinkedHashMap<>();
        vocabulary.put("<unk>", UNKNOWN);
        vocabulary.put("<s>", BEGIN);
        vocabulary.put("</s>", END);
        return vocabulary;
    }

    private static void write(
            Path folder, Map<String, Integer> vocabulary, Object preTokenizer, Object decoder)
            throws IOException {
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("version", "1.0");
        root.put(
                "truncation",
                Map.of(
                        "direction",
                        "Right",
                        "max_length",
                        4,
                        "strategy",
                        "LongestFirst",
                        "stride",
                        0));
        root.put(
                "padding",
                Map.of(
                        "strategy",
                        Map.of("Fixed", 16),
                        "direction",
                        "Right",
                        "pad_id",
                        UNKNOWN,
                        "pad_type_id",
                        0,
                        "pad_token",
                        "<unk>"));
        root.put(
                "added_tokens",
                List.of(special(UNKNOWN, "<unk>"), special(BEGIN, "<s>"), special(END, "</s>")));
        root.put("pre_tokenizer", preTokenizer);
        Object begin = Map.of("SpecialToken", Map.of("id", "<s>", "type_id", 0));
        Object text = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
        Object second = Map.of("Sequence", Map.of("id", "B", "type_id", 1));
        root.put(
                "post_processor",
                Map.of(
                        "type",
                        "TemplateProcessing",
                        "single",
                        List.of(begin, text),
                        "pair",
                        List.of(begin, text, second),
                        "special_tokens",
                        Map.of(
                                "<s>",
                                Map.of(
                                        "id", "<s>",
                                        "ids", List.of(BEGIN),
                                        "tokens", List.of("<s>")))));
        root.put("decoder", decoder);
        root.put("model", Map.of("type", "WordLevel", "vocab", vocabulary, "unk_token", "<unk>"));
        Files.writeString(folder.resolve("tokenizer.json"), new Gson().toJson(root));
    }

    private static Map<String, Object> special(int id, String content) {
        return Map.of(
                "id", id,
                "content", content,
                "single_word", false,
                "lstrip", false,
                "rstrip", false,
                "normalized", false,
                "special", true);
    }
}
