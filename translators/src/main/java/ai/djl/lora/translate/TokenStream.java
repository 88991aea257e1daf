/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

/** Text that grows token by token; what has been returned never changes. */
sealed interface TokenStream permits TokenWindow, ByteRuns {

    /**
     * Takes a token.
     *
     * @param token the token, not a silent one
     * @param piece what the token says
     * @return the text that is certain by it, often empty
     */
    String push(int token, TokenPiece piece);

    /**
     * Returns the text that would end here if no token came any more.
     *
     * @return the text behind what has been returned
     */
    String rest();
}
