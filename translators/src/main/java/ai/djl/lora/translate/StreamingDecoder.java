/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

/**
 * Turns tokens into text as they come, such that what has been returned is never taken back.
 *
 * <p>A token may be a part of a character; its text is returned with the token that completes the
 * character, or as U+FFFD once it is certain that none does. The texts of all calls, put together,
 * are {@link TextTokenizer#decodeContinuation} of all tokens. Special tokens have no text. A token
 * costs the same wherever in the text it stands: at most eight others are looked at again, the idea
 * behind the offsets of other servers' streams (Hugging Face's text-generation-inference, vLLM).
 *
 * <p>With byte-level tokenizers this is the text of all tokens decoded at once. With byte fallback
 * it is too, except for runs of byte tokens that hold both characters and stray bytes: there the
 * tokenizers library makes replacement characters of the whole run, and this class of the stray
 * bytes only. A character that the prompt's last tokens leave half is returned if the first tokens
 * complete it, and not returned if they do not, since the prompt's own text ends with U+FFFD then.
 *
 * <p>Decoders that put a text together in another way than from left to right are not supported,
 * for instance one that replaces patterns of several tokens' text. Instances are for one thread at
 * a time.
 */
public final class StreamingDecoder {

    /** More tokens than a character has bytes, twice: where a character begins is found again. */
    private static final int CONTEXT = 8;

    private final TokenPieces pieces;
    private final TokenStream stream;

    /** What the prompt's text shows in the place of a character that it leaves half. */
    private String shown;

    private boolean finished;

    /**
     * Constructs a new {@code StreamingDecoder} instance.
     *
     * @param tokenizer the tokenizer, which must stay open
     * @param prompt the token ids before the first one; none where the text begins
     * @throws IllegalArgumentException if a token id is negative
     */
    public StreamingDecoder(TextTokenizer tokenizer, int... prompt) {
        pieces = tokenizer.pieces();
        int[] last = new int[CONTEXT];
        int count = 0;
        int position = prompt.length;
        while (position > 0 && count < CONTEXT) {
            int token = prompt[--position];
            if (!piece(token).isSilent()) {
                last[CONTEXT - ++count] = token;
            }
        }
        boolean behind = count == CONTEXT;
        stream =
                pieces.isByteFallback()
                        ? new ByteRuns(pieces, behind)
                        : new TokenWindow(pieces, behind);
        for (int i = CONTEXT - count; i < CONTEXT; ++i) {
            stream.push(last[i], piece(last[i]));
        }
        shown = stream.rest();
    }

    /**
     * Takes the next token.
     *
     * @param token the token's id
     * @return the text that is certain by now and has not been returned yet, often empty
     * @throws IllegalArgumentException if the id is negative
     * @throws IllegalStateException if the text is finished
     */
    public String push(int token) {
        if (finished) {
            throw new IllegalStateException("the text is finished; begin another one");
        }
        TokenPiece piece = piece(token);
        return piece.isSilent() ? "" : withoutShown(stream.push(token, piece));
    }

    /**
     * Ends the text.
     *
     * @return the text that waited for further tokens
     */
    public String finish() {
        if (finished) {
            return "";
        }
        finished = true;
        return withoutShown(stream.rest());
    }

    private TokenPiece piece(int token) {
        if (token < 0) {
            throw new IllegalArgumentException(
                    "the token id is " + token + "; it must be 0 or more");
        }
        return pieces.get(token);
    }

    private String withoutShown(String text) {
        int same = 0;
        while (same < Math.min(text.length(), shown.length())
                && text.charAt(same) == shown.charAt(same)) {
            ++same;
        }
        if (!text.isEmpty()) {
            shown = same == text.length() ? shown.substring(same) : "";
        }
        return text.substring(same);
    }
}
