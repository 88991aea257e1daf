/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonReader;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Reads tokens a few at a time, as if other text stood before them.
 *
 * <p>Decoders treat the first token of a text in a way of their own: most drop its leading space.
 * So a plain token, the anchor, is decoded in front and its text cut off again. Which tokens are
 * silent and which stand for themselves is found by decoding them between anchors, and remembered:
 * at most one entry for each token of the vocabulary. Instances are safe for use by several
 * threads.
 */
final class TokenPieces {

    /** Stands for bytes that are no character. */
    static final char REPLACEMENT = '\ufffd';

    private static final TokenPiece SILENT = new TokenPiece(TokenPiece.Kind.SILENT, "");
    private static final TokenPiece PART = new TokenPiece(TokenPiece.Kind.PART, "");

    /** What to look for anchors in; almost every vocabulary has one of these. */
    private static final String[] PLAIN = {"a", "A", "0", "the"};

    /** How many tokens are tried as anchors where the vocabulary has none of {@link #PLAIN}. */
    private static final int MAX_TRIED = 65_536;

    /** The last character of Unicode: no vocabulary has it, so its tokens are bytes or unknown. */
    private static final String RARE = "\udbff\udffd";

    private final HuggingFaceTokenizer tokenizer;
    private final boolean byteFallback;
    private final Map<Integer, TokenPiece> pieces = new ConcurrentHashMap<>();
    private volatile Anchor anchor;

    /**
     * Constructs a new {@code TokenPieces} instance.
     *
     * @param tokenizer the tokenizer
     * @param byteFallback whether runs of byte tokens are decoded as a whole, see {@link
     *     #fallsBackToBytes}
     */
    TokenPieces(HuggingFaceTokenizer tokenizer, boolean byteFallback) {
        this.tokenizer = tokenizer;
        this.byteFallback = byteFallback;
    }

    /**
     * Tells whether a tokenizer's decoder has a {@code ByteFallback} step.
     *
     * @param file the {@code tokenizer.json}
     * @return true if it has
     * @throws LoraConfigurationException if the file cannot be read
     */
    static boolean fallsBackToBytes(Path file) {
        try (Reader text = Files.newBufferedReader(file, StandardCharsets.UTF_8);
                JsonReader json = new JsonReader(text)) {
            json.beginObject();
            while (json.hasNext()) {
                if ("decoder".equals(json.nextName())) {
                    return hasStep(JsonParser.parseReader(json), "ByteFallback");
                }
                json.skipValue();
            }
            return false;
        } catch (IOException | IllegalStateException | JsonParseException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString()) + " cannot be read: " + Message.brief(e), e);
        }
    }

    /**
     * Tells whether a decoder is of a kind, or has a step that is.
     *
     * @param decoder what a {@code tokenizer.json} says of its decoder
     * @param kind the kind
     * @return true if it is or has
     */
    static boolean hasStep(JsonElement decoder, String kind) {
        if (!decoder.isJsonObject()) {
            return false;
        }
        JsonElement steps = decoder.getAsJsonObject().get("decoders");
        if (steps != null && steps.isJsonArray()) {
            for (JsonElement step : steps.getAsJsonArray()) {
                if (hasStep(step, kind)) {
                    return true;
                }
            }
        }
        JsonElement type = decoder.getAsJsonObject().get("type");
        return type != null && type.isJsonPrimitive() && kind.equals(type.getAsString());
    }

    boolean isByteFallback() {
        return byteFallback;
    }

    /**
     * Returns what a token says.
     *
     * @param token the token's id
     * @return the piece
     */
    TokenPiece get(int token) {
        TokenPiece known = pieces.get(token);
        if (known != null) {
            return known;
        }
        TokenPiece piece = examine(token);
        // ids beyond the vocabulary are silent and without number
        if (!piece.isSilent()) {
            pieces.put(token, piece);
        }
        return piece;
    }

    /**
     * Returns the text of tokens.
     *
     * @param behind whether other text stands before them
     * @param tokens the tokens
     * @param count how many of them
     * @return the text
     */
    String decode(boolean behind, int[] tokens, int count) {
        Anchor first = behind ? anchor() : Anchor.NONE;
        long[] ids = new long[first.ids.length + count];
        System.arraycopy(first.ids, 0, ids, 0, first.ids.length);
        for (int i = 0; i < count; ++i) {
            ids[first.ids.length + i] = tokens[i];
        }
        String text = decode(ids);
        return text.substring(Math.min(first.length, text.length()));
    }

    /**
     * Finds out what a token says, without remembering it.
     *
     * @param token the token's id
     * @return the piece
     */
    TokenPiece examine(int token) {
        Anchor first = anchor();
        if (first.ids.length == 0) {
            // no token of this vocabulary is plain: nothing can be known of any alone
            return decode(new long[] {token}).isEmpty() ? SILENT : PART;
        }
        long id = first.ids[0];
        String text = decode(new long[] {id, token});
        String enclosed = decode(new long[] {id, token, id});
        boolean alone = enclosed.equals(text + first.again) && text.length() >= first.length;
        String own = alone ? text.substring(first.length) : "";
        if (!alone || own.indexOf(REPLACEMENT) >= 0) {
            return PART;
        }
        return own.isEmpty() ? SILENT : new TokenPiece(TokenPiece.Kind.WHOLE, own);
    }

    private Anchor anchor() {
        Anchor found = anchor;
        if (found == null) {
            found = findAnchor();
            anchor = found;
        }
        return found;
    }

    private Anchor findAnchor() {
        long[] rare = encode(RARE);
        for (String text : PLAIN) {
            long[] ids = encode(text);
            if (ids.length > 0 && isPlain(ids[ids.length - 1], rare)) {
                return newAnchor(ids[ids.length - 1]);
            }
        }
        for (int id = 0; id < MAX_TRIED; ++id) {
            if (isPlain(id, rare)) {
                return newAnchor(id);
            }
        }
        return Anchor.NONE;
    }

    private Anchor newAnchor(long id) {
        int length = decode(new long[] {id}).length();
        return new Anchor(new long[] {id}, length, decode(new long[] {id, id}).substring(length));
    }

    /** Tells whether a token begins with a visible character and is not changed by what follows. */
    private boolean isPlain(long id, long... rare) {
        String text = decode(new long[] {id});
        if (text.isBlank()
                || Character.isWhitespace(text.charAt(0))
                || text.indexOf(REPLACEMENT) >= 0) {
            return false;
        }
        // a byte token becomes part of what the bytes behind it are
        long[] followed = rare.length == 0 ? new long[] {id} : rare.clone();
        followed[0] = id;
        return decode(followed).startsWith(text) && decode(new long[] {id, id}).startsWith(text);
    }

    private long[] encode(String text) {
        return tokenizer.encode(text, false, false).getIds();
    }

    private String decode(long... ids) {
        return tokenizer.decode(ids, true);
    }

    /**
     * The token before others.
     *
     * @param ids its id, or none
     * @param length the length of its text
     * @param again what a second one adds to the text
     */
    private record Anchor(long[] ids, int length, String again) {

        static final Anchor NONE = new Anchor(new long[0], 0, "");
    }
}
