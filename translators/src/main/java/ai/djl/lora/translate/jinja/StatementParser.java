/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Reads the statements of a template. */
final class StatementParser {

    private static final int MAX_DEPTH = 100;

    private final TokenCursor cursor;
    private final ExpressionParser expressions;
    private int depth;
    private int loops;

    private StatementParser(TokenCursor cursor) {
        this.cursor = cursor;
        this.expressions = new ExpressionParser(cursor);
    }

    /**
     * Reads a template.
     *
     * @param source its source
     * @return its statements
     */
    static List<Statement> parse(String source) {
        TokenCursor cursor = new TokenCursor(Lexer.tokens(source));
        return new StatementParser(cursor).body(Set.of());
    }

    /** Reads up to a tag with one of some names, whose name is the cursor's next token then. */
    private List<Statement> body(Set<String> ends) {
        if (++depth > MAX_DEPTH) {
            throw cursor.error("statements are nested deeper than " + MAX_DEPTH);
        }
        List<Statement> statements = new ArrayList<>();
        while (true) {
            Token token = cursor.next();
            switch (token.type()) {
                case DATA:
                    statements.add(new Statement.Text(token.text()));
                    break;
                case VARIABLE_BEGIN:
                    statements.add(new Statement.Output(token.line(), expressions.tuple()));
                    cursor.expect(Token.Type.VARIABLE_END);
                    break;
                case BLOCK_BEGIN:
                    if (ends.contains(cursor.peek().text())) {
                        --depth;
                        return statements;
                    }
                    statements.add(statement());
                    break;
                default:
                    if (!ends.isEmpty()) {
                        throw cursor.error("the template ends before one of " + names(ends));
                    }
                    --depth;
                    return statements;
            }
        }
    }

    private static List<String> names(Set<String> ends) {
        return ends.stream().sorted().toList();
    }

    private List<Statement> bodyUntil(String end) {
        cursor.expect(Token.Type.BLOCK_END);
        List<Statement> body = body(Set.of(end));
        cursor.next();
        cursor.expect(Token.Type.BLOCK_END);
        return body;
    }

    private Statement statement() {
        Token name = cursor.expect(Token.Type.NAME);
        int line = name.line();
        switch (name.text()) {
            case "if":
                return ifStatement(line);
            case "for":
                return forStatement(line);
            case "set":
                return set(line);
            case "macro":
                return macro(line);
            case "filter":
                List<Expression.Filtered> filters = new ArrayList<>();
                filters.add(expressions.filter(null));
                return new Statement.FilterBlock(
                        line, moreFilters(filters), bodyUntil("endfilter"));
            case "with":
                return with(line);
            case "generation":
                // marks the assistant's tokens for training; no text of its own
                return new Statement.With(line, List.of(), bodyUntil("endgeneration"));
            case "break":
            case "continue":
                if (loops == 0) {
                    throw cursor.error(name.text() + " stands in no loop");
                }
                cursor.expect(Token.Type.BLOCK_END);
                return new Statement.Jump(line, "break".equals(name.text()));
            default:
                throw new TemplateException("the tag '" + name.text() + "' is not supported")
                        .at(line);
        }
    }

    private Statement ifStatement(int line) {
        List<Statement.Branch> branches = new ArrayList<>();
        List<Statement> otherwise = List.of();
        String tag = "elif";
        while ("elif".equals(tag)) {
            Expression condition = expressions.tupleWithoutCondition();
            cursor.expect(Token.Type.BLOCK_END);
            branches.add(new Statement.Branch(condition, body(Set.of("elif", "else", "endif"))));
            tag = cursor.next().text();
        }
        if ("else".equals(tag)) {
            otherwise = bodyUntil("endif");
        } else {
            cursor.expect(Token.Type.BLOCK_END);
        }
        return new Statement.If(line, branches, otherwise);
    }

    private Statement forStatement(int line) {
        Statement.Target targets = target(true);
        if (!cursor.takeName("in")) {
            throw cursor.error("expected 'in', found " + cursor.peek().describe());
        }
        Expression items = expressions.tupleWithoutCondition();
        Expression condition = cursor.takeName("if") ? expressions.expression() : null;
        if (cursor.peek().isName("recursive")) {
            throw cursor.error("recursive loops are not supported");
        }
        cursor.expect(Token.Type.BLOCK_END);
        ++loops;
        List<Statement> body = body(Set.of("else", "endfor"));
        --loops;
        List<Statement> otherwise = List.of();
        if ("else".equals(cursor.next().text())) {
            otherwise = bodyUntil("endfor");
        } else {
            cursor.expect(Token.Type.BLOCK_END);
        }
        return new Statement.For(line, targets, items, condition, body, otherwise);
    }

    private Statement set(int line) {
        Statement.Target target = target(false);
        if (cursor.takeOperator("=")) {
            Expression value = expressions.tuple();
            cursor.expect(Token.Type.BLOCK_END);
            return new Statement.Set(line, target, value);
        }
        List<Expression.Filtered> filters = moreFilters(new ArrayList<>());
        return new Statement.SetBlock(line, target, filters, bodyUntil("endset"));
    }

    private List<Expression.Filtered> moreFilters(List<Expression.Filtered> filters) {
        while (cursor.takeOperator("|")) {
            filters.add(expressions.filter(null));
        }
        return filters;
    }

    private Statement.Target target(boolean namesOnly) {
        List<Statement.Target> targets = new ArrayList<>();
        do {
            if (cursor.peek().isName("in") || cursor.peek().isOperator("=")) {
                break;
            }
            if (cursor.takeOperator("(")) {
                targets.add(target(namesOnly));
                cursor.expectOperator(")");
                continue;
            }
            String name = cursor.expectName();
            targets.add(
                    !namesOnly && cursor.takeOperator(".")
                            ? new Statement.Target.Field(name, cursor.expectName())
                            : new Statement.Target.Variable(name));
        } while (cursor.takeOperator(","));
        return targets.size() == 1 ? targets.get(0) : new Statement.Target.Several(targets);
    }

    private Statement macro(int line) {
        String name = cursor.expectName();
        cursor.expectOperator("(");
        List<Statement.Parameter> parameters = new ArrayList<>();
        while (!cursor.takeOperator(")")) {
            if (!parameters.isEmpty()) {
                cursor.expectOperator(",");
            }
            String parameter = cursor.expectName();
            Expression value = cursor.takeOperator("=") ? expressions.expression() : null;
            parameters.add(new Statement.Parameter(parameter, value));
        }
        int outer = loops;
        loops = 0;
        List<Statement> body = bodyUntil("endmacro");
        loops = outer;
        return new Statement.Macro(line, name, parameters, body);
    }

    private Statement with(int line) {
        List<Statement.Set> variables = new ArrayList<>();
        while (cursor.peek().type() != Token.Type.BLOCK_END) {
            if (!variables.isEmpty()) {
                cursor.expectOperator(",");
            }
            String name = cursor.expectName();
            cursor.expectOperator("=");
            variables.add(
                    new Statement.Set(
                            line, new Statement.Target.Variable(name), expressions.expression()));
        }
        return new Statement.With(line, variables, bodyUntil("endwith"));
    }
}
