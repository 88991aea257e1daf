/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;

/** A place in a list of tokens. */
final class TokenCursor {

    private final List<Token> tokens;
    private int position;

    /**
     * Constructs a new {@code TokenCursor} instance.
     *
     * @param tokens the tokens, {@link Token.Type#END} the last
     */
    TokenCursor(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token peek() {
        return peek(0);
    }

    Token peek(int ahead) {
        return tokens.get(Math.min(position + ahead, tokens.size() - 1));
    }

    Token next() {
        Token token = peek();
        ++position;
        return token;
    }

    boolean takeName(String name) {
        boolean there = peek().isName(name);
        position += there ? 1 : 0;
        return there;
    }

    boolean takeOperator(String operator) {
        boolean there = peek().isOperator(operator);
        position += there ? 1 : 0;
        return there;
    }

    String expectName() {
        return expect(Token.Type.NAME).text();
    }

    void expectOperator(String operator) {
        if (!takeOperator(operator)) {
            throw error("expected '" + operator + "', found " + peek().describe());
        }
    }

    Token expect(Token.Type type) {
        Token token = next();
        if (token.type() != type) {
            throw unexpected(token);
        }
        return token;
    }

    TemplateException unexpected(Token token) {
        return new TemplateException("unexpected " + token.describe()).at(token.line());
    }

    TemplateException error(String message) {
        return new TemplateException(message).at(peek().line());
    }
}
