/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.Arrays;

/**
 * Decodes tokens one by one, and runs of byte tokens a character at a time, for tokenizers with a
 * token for each byte that spell out what their vocabulary lacks (SentencePiece with byte
 * fallback).
 *
 * <p>The tokenizers library decodes a run of byte tokens as a whole: a single byte that belongs to
 * no character turns all characters of the run into replacement characters, however long they have
 * been known. Here a character is certain once its last byte is there, and each byte that belongs
 * to none is one replacement character. The two agree wherever a run of bytes is valid, or has no
 * valid character.
 */
final class ByteRuns implements TokenStream {

    /** The most bytes that UTF-8 has for a character. */
    private static final int LONGEST = 4;

    private final TokenPieces pieces;
    private final int[] run = new int[LONGEST];
    private int count;
    private boolean behind;

    /** Tokens at the beginning whose text the decoder drops, as it does with the first space. */
    private int[] dropped = {};

    /**
     * Constructs a new {@code ByteRuns} instance.
     *
     * @param pieces reads tokens
     * @param behind whether other text stands before the first token
     */
    ByteRuns(TokenPieces pieces, boolean behind) {
        this.pieces = pieces;
        this.behind = behind;
    }

    /** {@inheritDoc} */
    @Override
    public String push(int token, TokenPiece piece) {
        StringBuilder text = new StringBuilder();
        if (piece.isWhole()) {
            settle(text, true);
            text.append(behind ? piece.text() : take(text(token), token));
        } else {
            run[count++] = token;
            settle(text, false);
        }
        return text.toString();
    }

    /** {@inheritDoc} */
    @Override
    public String rest() {
        ByteRuns copy = new ByteRuns(pieces, behind);
        copy.dropped = dropped;
        copy.count = count;
        System.arraycopy(run, 0, copy.run, 0, count);
        StringBuilder text = new StringBuilder();
        copy.settle(text, true);
        return text.toString();
    }

    /** Appends what the run's first tokens make, until the others may still become a character. */
    private void settle(StringBuilder text, boolean end) {
        while (count > 0) {
            int length = character();
            if (length == 0) {
                if (!end && count < LONGEST) {
                    return;
                }
                length = 1;
            }
            int[] taken = Arrays.copyOf(run, length);
            text.append(take(text(taken), taken));
            System.arraycopy(run, length, run, 0, count - length);
            count -= length;
        }
    }

    /** Returns how many tokens at the run's beginning make a character; 0 if none do. */
    private int character() {
        for (int length = 1; length <= count; ++length) {
            String text = text(Arrays.copyOf(run, length));
            // without a whole character each byte is a replacement character of its own
            if (text.indexOf(TokenPieces.REPLACEMENT) < 0
                    || text.codePointCount(0, text.length()) < length) {
                return length;
            }
        }
        return 0;
    }

    private String text(int... tokens) {
        String text = pieces.decode(true, tokens, tokens.length);
        if (behind || !text.isEmpty() && !Character.isWhitespace(text.charAt(0))) {
            return text;
        }
        int[] all = Arrays.copyOf(dropped, dropped.length + tokens.length);
        System.arraycopy(tokens, 0, all, dropped.length, tokens.length);
        return pieces.decode(false, all, all.length);
    }

    private String take(String text, int... tokens) {
        if (!behind && text.isEmpty()) {
            int known = dropped.length;
            dropped = Arrays.copyOf(dropped, known + tokens.length);
            System.arraycopy(tokens, 0, dropped, known, tokens.length);
        } else {
            behind = true;
        }
        return text;
    }
}
