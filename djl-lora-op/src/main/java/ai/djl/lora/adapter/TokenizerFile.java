/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a {@code tokenizer.json} says, whatever its white space: a hash of all of it, and the added
 * tokens. Vocabularies are too large to be kept for a comparison, so that the file is read in
 * passing.
 *
 * @param hash SHA-256 of the file's JSON tokens
 * @param addedTokens the numbers of the added tokens by their text
 */
record TokenizerFile(String hash, Map<String, String> addedTokens) {

    private static final String ADDED_TOKENS = "added_tokens";

    /**
     * Reads a file.
     *
     * @param file the file
     * @return what it says
     * @throws LoraConfigurationException if it is no JSON
     */
    static TokenizerFile read(Path file) {
        Visitor visitor = new Visitor();
        try (Reader text = Files.newBufferedReader(file, StandardCharsets.UTF_8);
                JsonReader json = new JsonReader(text)) {
            json.setStrictness(Strictness.STRICT);
            while (json.peek() != JsonToken.END_DOCUMENT) {
                visitor.visit(json);
            }
        } catch (IOException | IllegalStateException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString())
                            + ": cannot be read as JSON: "
                            + Message.oneLine(String.valueOf(e.getMessage())),
                    e);
        }
        return new TokenizerFile(
                HexFormat.of().formatHex(visitor.digest.digest()), visitor.addedTokens);
    }

    /** Goes through a file. */
    private static final class Visitor {

        private final MessageDigest digest = ContentHash.newDigest();
        private final Map<String, String> addedTokens = new TreeMap<>();
        private String top = "";
        private String name = "";
        private String content;
        private String id;
        private int depth;

        void visit(JsonReader json) throws IOException {
            JsonToken token = json.peek();
            String value = "";
            switch (token) {
                case BEGIN_OBJECT -> {
                    json.beginObject();
                    depth++;
                }
                case END_OBJECT -> {
                    json.endObject();
                    endObject();
                }
                case BEGIN_ARRAY -> {
                    json.beginArray();
                    depth++;
                }
                case END_ARRAY -> {
                    json.endArray();
                    depth--;
                }
                case NAME -> {
                    value = json.nextName();
                    name = value;
                    top = depth == 1 ? value : top;
                }
                case BOOLEAN -> value = String.valueOf(json.nextBoolean());
                case NULL -> json.nextNull();
                default -> {
                    value = json.nextString();
                    take(value);
                }
            }
            digest.update(
                    (token + " " + value.length() + ' ' + value).getBytes(StandardCharsets.UTF_8));
        }

        /**
         * Takes the text and the number of an added token: {"added_tokens": [{"content", "id"}]}.
         */
        private void take(String value) {
            if (depth == 3 && ADDED_TOKENS.equals(top)) {
                if ("content".equals(name)) {
                    content = value;
                } else if ("id".equals(name)) {
                    id = value;
                }
            }
        }

        private void endObject() {
            if (depth == 3 && ADDED_TOKENS.equals(top) && content != null) {
                addedTokens.put(content, String.valueOf(id));
                content = null;
            }
            depth--;
        }
    }
}
