/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

/**
 * What one token says.
 *
 * @param kind how the token is to be read
 * @param text its text behind other text; empty unless the token is {@link Kind#WHOLE}
 */
record TokenPiece(Kind kind, String text) {

    /** How a token is to be read. */
    enum Kind {

        /** A special token, or none of the vocabulary: no text at all. */
        SILENT,

        /** Text that depends on no neighbour. */
        WHOLE,

        /** Part of a character, or text that its neighbours change. */
        PART
    }

    boolean isSilent() {
        return kind == Kind.SILENT;
    }

    boolean isWhole() {
        return kind == Kind.WHOLE;
    }
}
