/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;
import java.util.Map;

/** An expression of a template. */
sealed interface Expression {

    /** A value that is written out. */
    record Literal(Object value) implements Expression {}

    /** A variable. */
    record Name(String name) implements Expression {}

    /** {@code [a, b]} */
    record ListOf(List<Expression> items) implements Expression {}

    /** {@code (a, b)} */
    record TupleOf(List<Expression> items) implements Expression {}

    /** {@code {a: b}} */
    record DictOf(List<Map.Entry<Expression, Expression>> entries) implements Expression {}

    /** {@code a.name} */
    record Attribute(Expression of, String name) implements Expression {}

    /** {@code a[key]} */
    record Item(Expression of, Expression key) implements Expression {}

    /** {@code a[from:to:step]}, each null where it is left out. */
    record Slice(Expression of, Expression from, Expression to, Expression step)
            implements Expression {}

    /** {@code a(...)} */
    record Call(Expression of, ArgumentList arguments) implements Expression {}

    /** {@code a | name(...)} */
    record Filtered(Expression of, String name, ArgumentList arguments) implements Expression {}

    /** {@code a is name(...)} */
    record Tested(Expression of, String name, ArgumentList arguments) implements Expression {}

    /** {@code not a} */
    record Not(Expression of) implements Expression {}

    /** {@code -a} or {@code +a} */
    record Signed(boolean negative, Expression of) implements Expression {}

    /** {@code a and b}, {@code a or b} */
    record Logical(boolean and, Expression left, Expression right) implements Expression {}

    /** An operation on two numbers, texts or lists. */
    record Binary(String operator, Expression left, Expression right) implements Expression {}

    /** {@code a < b <= c}: each neighbour is compared. */
    record Compared(Expression first, List<String> operators, List<Expression> others)
            implements Expression {}

    /** {@code a if b else c}; the last is null where it is left out. */
    record Conditional(Expression then, Expression condition, Expression otherwise)
            implements Expression {}

    /** What stands between a call's brackets. */
    record ArgumentList(List<Expression> positional, Map<String, Expression> named) {

        static final ArgumentList NONE = new ArgumentList(List.of(), Map.of());
    }
}
