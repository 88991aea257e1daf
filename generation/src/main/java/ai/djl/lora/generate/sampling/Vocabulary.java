/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/** What a tokenizer's tokens write, as bytes: a token may be a part of a UTF-8 character. */
public interface Vocabulary {

    /**
     * Returns the number of tokens.
     *
     * @return the number; token ids are below it
     */
    int size();

    /**
     * Returns the bytes that a token adds to a text.
     *
     * @param token the token's id
     * @return the bytes; null for a token that is no text, such as end-of-text, or an unused id
     */
    byte[] bytes(int token);
}
