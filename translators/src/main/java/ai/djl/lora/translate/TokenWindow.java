/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.Arrays;

/**
 * Decodes the last few tokens again with each new one, for decoders whose text only grows by a
 * further token but for its last character: byte-level BPE, words, characters.
 *
 * <p>A byte-level decoder reads all bytes as UTF-8. An incomplete character at the end is one
 * replacement character, which the next token may complete; so one at the end waits. What state the
 * bytes are in is decided by the last three of them, since a byte that begins a character never
 * continues one: four tokens of context are enough whatever stands before them, and the text is
 * that of all tokens decoded at once, for invalid bytes too.
 */
final class TokenWindow implements TokenStream {

    private static final int KEPT = 4;
    private static final int LONGEST = 8;

    private final TokenPieces pieces;
    private int[] window = new int[LONGEST + 1];
    private int count;
    private boolean behind;

    /** How much of the window's text has been returned. */
    private int returned;

    /**
     * Constructs a new {@code TokenWindow} instance.
     *
     * @param pieces reads tokens
     * @param behind whether other text stands before the first token
     */
    TokenWindow(TokenPieces pieces, boolean behind) {
        this.pieces = pieces;
        this.behind = behind;
    }

    /** {@inheritDoc} */
    @Override
    public String push(int token, TokenPiece piece) {
        if (behind && count == 0 && piece.isWhole()) {
            return piece.text();
        }
        if (count == window.length) {
            // only while all of the text's beginning is spaces that the decoder drops
            window = Arrays.copyOf(window, 2 * count);
        }
        window[count++] = token;
        String text = text();
        int certain = piece.isWhole() ? text.length() : certain(text);
        String next = text.substring(Math.min(returned, certain), certain);
        returned = certain;
        if (!text.isEmpty() && piece.isWhole()) {
            behind = true;
            count = 0;
            returned = 0;
        } else if (!text.isEmpty() && count > LONGEST) {
            behind = true;
            System.arraycopy(window, count - KEPT, window, 0, KEPT);
            count = KEPT;
            returned = certain(text());
        }
        return next;
    }

    /** {@inheritDoc} */
    @Override
    public String rest() {
        String text = text();
        return text.substring(Math.min(returned, text.length()));
    }

    private String text() {
        return pieces.decode(behind, window, count);
    }

    private static int certain(String text) {
        int length = text.length();
        boolean open = length > 0 && text.charAt(length - 1) == TokenPieces.REPLACEMENT;
        return open ? length - 1 : length;
    }
}
