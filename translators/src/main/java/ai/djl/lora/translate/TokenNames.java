/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The tokens of a {@code tokenizer.json} as they stand there, which tells the bytes of tokens that
 * are no text alone.
 *
 * <p>There are two ways to write a byte: byte-level tokenizers have a character for each of the 256
 * (the table of GPT-2's {@code encoder.py}: printable characters of Latin-1 stand for themselves,
 * the others in order for U+0100 and on), those that fall back to bytes have tokens such as {@code
 * <0xE2>}.
 */
final class TokenNames {

    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-Fa-f]{2})>");
    private static final int[] BYTE_OF_CHARACTER = bytesOfCharacters();

    private String[] names = new String[1024];
    private int size;
    private boolean byteLevel;
    private boolean byteFallback;

    private TokenNames() {}

    /**
     * Reads a tokenizer.
     *
     * @param file the {@code tokenizer.json}
     * @return its tokens
     * @throws LoraConfigurationException if the file cannot be read
     */
    static TokenNames read(Path file) {
        TokenNames tokens = new TokenNames();
        try (Reader text = Files.newBufferedReader(file, StandardCharsets.UTF_8);
                JsonReader json = new JsonReader(text)) {
            json.beginObject();
            while (json.hasNext()) {
                switch (json.nextName()) {
                    case "added_tokens" -> tokens.readAdded(json);
                    case "decoder" -> tokens.readDecoder(JsonParser.parseReader(json));
                    case "model" -> tokens.readModel(json);
                    default -> json.skipValue();
                }
            }
            return tokens;
        } catch (IOException
                | IllegalStateException
                | NumberFormatException
                | JsonParseException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString()) + " cannot be read: " + Message.brief(e), e);
        }
    }

    private void readAdded(JsonReader json) throws IOException {
        json.beginArray();
        while (json.hasNext()) {
            int id = -1;
            String content = null;
            json.beginObject();
            while (json.hasNext()) {
                switch (json.nextName()) {
                    case "id" -> id = json.nextInt();
                    case "content" -> content = json.nextString();
                    default -> json.skipValue();
                }
            }
            json.endObject();
            put(id, content);
        }
        json.endArray();
    }

    private void readDecoder(JsonElement decoder) {
        byteLevel = TokenPieces.hasStep(decoder, "ByteLevel");
        byteFallback = TokenPieces.hasStep(decoder, "ByteFallback");
    }

    private void readModel(JsonReader json) throws IOException {
        json.beginObject();
        while (json.hasNext()) {
            if (!"vocab".equals(json.nextName())) {
                json.skipValue();
            } else if (json.peek() == JsonToken.BEGIN_OBJECT) {
                json.beginObject();
                while (json.hasNext()) {
                    String name = json.nextName();
                    put(json.nextInt(), name);
                }
                json.endObject();
            } else {
                // of the Unigram kind: each token with its score, in the order of the ids
                json.beginArray();
                for (int id = 0; json.hasNext(); ++id) {
                    json.beginArray();
                    put(id, json.nextString());
                    json.skipValue();
                    json.endArray();
                }
                json.endArray();
            }
        }
        json.endObject();
    }

    private void put(int id, String name) {
        if (id < 0 || name == null) {
            throw new IllegalStateException("a token has no id or no text");
        }
        if (id >= names.length) {
            names = Arrays.copyOf(names, Math.max(id + 1, 2 * names.length));
        }
        names[id] = name;
        size = Math.max(size, id + 1);
    }

    /** Returns the number of tokens, unused ids below the greatest too. */
    int size() {
        return size;
    }

    /**
     * Returns the bytes that a token stands for.
     *
     * @param token the token's id, below {@link #size}
     * @return the bytes; null where they depend on the token's neighbours, or are not known
     */
    byte[] bytes(int token) {
        String name = names[token];
        if (name == null) {
            return null;
        }
        if (byteFallback) {
            Matcher matcher = BYTE.matcher(name);
            return matcher.matches()
                    ? new byte[] {(byte) Integer.parseInt(matcher.group(1), 16)}
                    : null;
        }
        return byteLevel ? byteLevel(name) : null;
    }

    private static byte[] byteLevel(String name) {
        byte[] bytes = new byte[name.length()];
        for (int i = 0; i < bytes.length; ++i) {
            char c = name.charAt(i);
            int value = c < BYTE_OF_CHARACTER.length ? BYTE_OF_CHARACTER[c] : -1;
            if (value < 0) {
                return null;
            }
            bytes[i] = (byte) value;
        }
        return bytes;
    }

    private static int[] bytesOfCharacters() {
        int[] bytes = new int[512];
        Arrays.fill(bytes, -1);
        int next = 256;
        for (int value = 0; value < 256; ++value) {
            boolean itself =
                    value >= '!' && value <= '~'
                            || value >= '\u00a1' && value <= '\u00ac'
                            || value >= '\u00ae';
            bytes[itself ? value : next++] = value;
        }
        return bytes;
    }
}
