/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Expression.ArgumentList;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads expressions, with Jinja's precedence: from the weakest {@code if}, {@code or}, {@code and},
 * {@code not}, comparisons, {@code + -}, {@code ~}, {@code * / // %}, {@code **}, a sign, and
 * filters, tests and calls.
 */
final class ExpressionParser {

    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
    private static final Set<String> PRODUCTS = Set.of("*", "/", "//", "%");

    /** Deeper ones are no template that a model comes with. */
    private static final int MAX_DEPTH = 100;

    private final TokenCursor cursor;
    private int depth;

    /**
     * Constructs a new {@code ExpressionParser} instance.
     *
     * @param cursor where to read
     */
    ExpressionParser(TokenCursor cursor) {
        this.cursor = cursor;
    }

    /** Reads an expression. */
    Expression expression() {
        if (++depth > MAX_DEPTH) {
            throw cursor.error("expressions are nested deeper than " + MAX_DEPTH);
        }
        Expression value = or();
        while (cursor.takeName("if")) {
            Expression condition = or();
            Expression otherwise = cursor.takeName("else") ? expression() : null;
            value = new Expression.Conditional(value, condition, otherwise);
        }
        --depth;
        return value;
    }

    /** Reads an expression, or several with commas as a tuple. */
    Expression tuple() {
        return tuple(expression());
    }

    /** Reads what a loop goes through or a condition: no {@code if} belongs to it. */
    Expression tupleWithoutCondition() {
        return tuple(or());
    }

    private Expression tuple(Expression first) {
        if (!cursor.peek().isOperator(",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (cursor.takeOperator(",")) {
            Token next = cursor.peek();
            if (isEnd(next) || next.isOperator("=")) {
                break;
            }
            items.add(expression());
        }
        return new Expression.TupleOf(items);
    }

    private static boolean isEnd(Token token) {
        return token.type() == Token.Type.BLOCK_END
                || token.type() == Token.Type.VARIABLE_END
                || token.isOperator(")");
    }

    Expression or() {
        Expression left = and();
        while (cursor.takeName("or")) {
            left = new Expression.Logical(false, left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (cursor.takeName("and")) {
            left = new Expression.Logical(true, left, not());
        }
        return left;
    }

    private Expression not() {
        boolean negated = false;
        boolean any = false;
        while (cursor.takeName("not")) {
            negated = !negated;
            any = true;
        }
        Expression value = comparison();
        if (!any) {
            return value;
        }
        Expression not = new Expression.Not(value);
        return negated ? not : new Expression.Not(not);
    }

    private Expression comparison() {
        Expression first = sum();
        List<String> operators = new ArrayList<>();
        List<Expression> others = new ArrayList<>();
        while (true) {
            Token token = cursor.peek();
            if (token.type() == Token.Type.OPERATOR && COMPARISONS.contains(token.text())) {
                operators.add(cursor.next().text());
            } else if (cursor.takeName("in")) {
                operators.add("in");
            } else if (token.isName("not") && cursor.peek(1).isName("in")) {
                cursor.next();
                cursor.next();
                operators.add("not in");
            } else {
                break;
            }
            others.add(sum());
        }
        return operators.isEmpty() ? first : new Expression.Compared(first, operators, others);
    }

    private Expression sum() {
        Expression left = joined();
        while (cursor.peek().isOperator("+") || cursor.peek().isOperator("-")) {
            left = new Expression.Binary(cursor.next().text(), left, joined());
        }
        return left;
    }

    private Expression joined() {
        Expression left = product();
        while (cursor.takeOperator("~")) {
            left = new Expression.Binary("~", left, product());
        }
        return left;
    }

    private Expression product() {
        Expression left = power();
        while (cursor.peek().type() == Token.Type.OPERATOR
                && PRODUCTS.contains(cursor.peek().text())) {
            left = new Expression.Binary(cursor.next().text(), left, power());
        }
        return left;
    }

    private Expression power() {
        Expression left = signed(true);
        while (cursor.takeOperator("**")) {
            left = new Expression.Binary("**", left, signed(true));
        }
        return left;
    }

    private Expression signed(boolean filtered) {
        if (++depth > MAX_DEPTH) {
            throw cursor.error("expressions are nested deeper than " + MAX_DEPTH);
        }
        Token token = cursor.peek();
        Expression value;
        if (token.isOperator("-") || token.isOperator("+")) {
            cursor.next();
            value = new Expression.Signed(token.isOperator("-"), signed(false));
        } else {
            value = primary();
        }
        --depth;
        value = postfix(value);
        return filtered ? filtered(value) : value;
    }

    private Expression primary() {
        Token token = cursor.next();
        switch (token.type()) {
            case NAME:
                return switch (token.text()) {
                    case "true", "True" -> new Expression.Literal(true);
                    case "false", "False" -> new Expression.Literal(false);
                    case "none", "None" -> new Expression.Literal(null);
                    default -> new Expression.Name(token.text());
                };
            case STRING:
                StringBuilder text = new StringBuilder(token.text());
                while (cursor.peek().type() == Token.Type.STRING) {
                    text.append(cursor.next().text());
                }
                return new Expression.Literal(text.toString());
            case INTEGER:
                return new Expression.Literal(
                        Numbers.integer(new BigInteger(token.text().replace("_", ""))));
            case FLOAT:
                return new Expression.Literal(Double.valueOf(token.text().replace("_", "")));
            case OPERATOR:
                return bracketed(token);
            default:
                throw cursor.unexpected(token);
        }
    }

    private Expression bracketed(Token open) {
        switch (open.text()) {
            case "(":
                if (cursor.takeOperator(")")) {
                    return new Expression.TupleOf(List.of());
                }
                Expression inner = tuple();
                cursor.expectOperator(")");
                return inner;
            case "[":
                return new Expression.ListOf(items());
            case "{":
                List<Map.Entry<Expression, Expression>> entries = new ArrayList<>();
                while (!cursor.takeOperator("}")) {
                    if (!entries.isEmpty()) {
                        cursor.expectOperator(",");
                        if (cursor.takeOperator("}")) {
                            break;
                        }
                    }
                    Expression key = expression();
                    cursor.expectOperator(":");
                    entries.add(Map.entry(key, expression()));
                }
                return new Expression.DictOf(entries);
            default:
                throw cursor.unexpected(open);
        }
    }

    private List<Expression> items() {
        List<Expression> items = new ArrayList<>();
        while (!cursor.takeOperator("]")) {
            if (!items.isEmpty()) {
                cursor.expectOperator(",");
                if (cursor.takeOperator("]")) {
                    break;
                }
            }
            items.add(expression());
        }
        return items;
    }

    private Expression postfix(Expression start) {
        Expression value = start;
        while (true) {
            if (cursor.takeOperator(".")) {
                Token name = cursor.next();
                if (name.type() == Token.Type.INTEGER) {
                    value =
                            new Expression.Item(
                                    value, new Expression.Literal(Long.valueOf(name.text())));
                } else if (name.type() == Token.Type.NAME) {
                    value = new Expression.Attribute(value, name.text());
                } else {
                    throw cursor.unexpected(name);
                }
            } else if (cursor.takeOperator("[")) {
                value = subscript(value);
            } else if (cursor.peek().isOperator("(")) {
                value = new Expression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    private Expression subscript(Expression of) {
        Expression from = cursor.peek().isOperator(":") ? null : expression();
        if (!cursor.takeOperator(":")) {
            cursor.expectOperator("]");
            return new Expression.Item(of, from);
        }
        Expression to = bound();
        Expression step = cursor.takeOperator(":") ? bound() : null;
        cursor.expectOperator("]");
        return new Expression.Slice(of, from, to, step);
    }

    private Expression bound() {
        boolean open = cursor.peek().isOperator(":") || cursor.peek().isOperator("]");
        return open ? null : expression();
    }

    private Expression filtered(Expression start) {
        Expression value = start;
        while (true) {
            if (cursor.takeOperator("|")) {
                value = filter(value);
            } else if (cursor.takeName("is")) {
                value = test(value);
            } else if (cursor.peek().isOperator("(")) {
                value = new Expression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    /** Reads a filter's name and arguments behind its bar. */
    Expression.Filtered filter(Expression of) {
        String name = cursor.expectName();
        return new Expression.Filtered(
                of, name, cursor.peek().isOperator("(") ? arguments() : ArgumentList.NONE);
    }

    private Expression test(Expression of) {
        boolean negated = cursor.takeName("not");
        String name = cursor.expectName();
        Token next = cursor.peek();
        ArgumentList arguments = ArgumentList.NONE;
        if (next.isOperator("(")) {
            arguments = arguments();
        } else if (beginsArgument(next)) {
            arguments = new ArgumentList(List.of(postfix(primary())), Map.of());
        }
        Expression tested = new Expression.Tested(of, name, arguments);
        return negated ? new Expression.Not(tested) : tested;
    }

    private static boolean beginsArgument(Token token) {
        return switch (token.type()) {
            case STRING, INTEGER, FLOAT -> true;
            case NAME -> !Set.of("else", "or", "and", "is", "if").contains(token.text());
            case OPERATOR -> token.isOperator("[") || token.isOperator("{");
            default -> false;
        };
    }

    private ArgumentList arguments() {
        cursor.expectOperator("(");
        List<Expression> positional = new ArrayList<>();
        Map<String, Expression> named = new LinkedHashMap<>();
        boolean first = true;
        while (!cursor.takeOperator(")")) {
            if (!first) {
                cursor.expectOperator(",");
                if (cursor.takeOperator(")")) {
                    break;
                }
            }
            first = false;
            if (cursor.peek().type() == Token.Type.NAME && cursor.peek(1).isOperator("=")) {
                String name = cursor.next().text();
                cursor.next();
                named.put(name, expression());
            } else if (named.isEmpty()) {
                positional.add(expression());
            } else {
                throw cursor.error("an argument without a name follows one with a name");
            }
        }
        return new ArgumentList(positional, named);
    }
}
