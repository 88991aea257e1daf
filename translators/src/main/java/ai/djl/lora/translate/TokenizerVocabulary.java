/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.Vocabulary;
import java.nio.charset.StandardCharsets;

/**
 * The bytes that a tokenizer's tokens write behind other text. What a token says is what the
 * tokenizer's decoder makes of it; only for tokens that are parts of characters the file is asked.
 * Special tokens are no text, nor are tokens that their neighbours change: a constraint cannot tell
 * what they would become.
 */
final class TokenizerVocabulary implements Vocabulary {

    private final byte[][] tokens;

    /**
     * Constructs a new {@code TokenizerVocabulary} instance, which looks at every token.
     *
     * @param names the tokenizer's tokens
     * @param pieces reads tokens
     */
    TokenizerVocabulary(TokenNames names, TokenPieces pieces) {
        tokens = new byte[names.size()][];
        for (int token = 0; token < tokens.length; ++token) {
            TokenPiece piece = pieces.examine(token);
            if (piece.isWhole()) {
                tokens[token] = piece.text().getBytes(StandardCharsets.UTF_8);
            } else if (!piece.isSilent()) {
                tokens[token] = names.bytes(token);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public int size() {
        return tokens.length;
    }

    /** {@inheritDoc} */
    @Override
    public byte[] bytes(int token) {
        return tokens[token];
    }
}
