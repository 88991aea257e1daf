/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

/**
 * A piece of a template's source.
 *
 * @param type what it is
 * @param text its text; that of a string without quotes and escapes
 * @param line the line it is on, from 1
 */
record Token(Type type, String text, int line) {

    /** What a token is. */
    enum Type {
        /** Text between tags. */
        DATA,
        /** The start of an expression's tag. */
        VARIABLE_BEGIN,
        /** The end of an expression's tag. */
        VARIABLE_END,
        /** The start of a statement's tag. */
        BLOCK_BEGIN,
        /** The end of a statement's tag. */
        BLOCK_END,
        /** A name or keyword. */
        NAME,
        /** A string. */
        STRING,
        /** A whole number. */
        INTEGER,
        /** A number with a point or an exponent. */
        FLOAT,
        /** An operator or bracket. */
        OPERATOR,
        /** The end of the source. */
        END
    }

    boolean is(Type wanted, String wantedText) {
        return type == wanted && text.equals(wantedText);
    }

    boolean isName(String name) {
        return is(Type.NAME, name);
    }

    boolean isOperator(String operator) {
        return is(Type.OPERATOR, operator);
    }

    /** Returns what the token is, for messages. */
    String describe() {
        return switch (type) {
            case DATA -> "text";
            case VARIABLE_END -> "the end of the expression's tag";
            case BLOCK_END -> "the end of the statement's tag";
            case END -> "the end of the template";
            default -> "'" + text + "'";
        };
    }
}
