/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Expression.ArgumentList;
import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Tuple;
import ai.djl.lora.translate.jinja.Values.Undefined;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Finds the values of expressions. */
final class Evaluator {

    /** Expressions within expressions, through macros too; more would end the stack. */
    private static final int MAX_DEPTH = 500;

    private final Budget budget;
    private final Access access;
    private final Tests tests;
    private final Filters filters;
    private int depth;

    /**
     * Constructs a new {@code Evaluator} instance.
     *
     * @param budget what pays
     */
    Evaluator(Budget budget) {
        this.budget = budget;
        access = new Access(budget);
        tests = new Tests(access);
        filters = new Filters(budget, access, tests);
    }

    Access access() {
        return access;
    }

    /** Returns an expression's value. */
    Object evaluate(Expression expression, Scope scope) {
        budget.step();
        enter();
        Object value = compute(expression, scope);
        leave();
        return value;
    }

    /** Counts a level of nesting; rendering ends with the failure if there are too many. */
    void enter() {
        if (++depth > MAX_DEPTH) {
            throw new TemplateException("more than " + MAX_DEPTH + " levels of nested evaluation");
        }
    }

    void leave() {
        --depth;
    }

    /** Applies a filter to a value that is known. */
    Object filter(Expression.Filtered filter, Object value, Scope scope) {
        return filters.apply(filter.name(), value, arguments(filter.arguments(), scope));
    }

    private Object compute(Expression expression, Scope scope) {
        if (expression instanceof Expression.Literal literal) {
            return literal.value();
        }
        if (expression instanceof Expression.Name name) {
            return scope.get(name.name());
        }
        if (expression instanceof Expression.Attribute attribute) {
            return access.attribute(evaluate(attribute.of(), scope), attribute.name());
        }
        if (expression instanceof Expression.Item item) {
            return access.item(evaluate(item.of(), scope), evaluate(item.key(), scope));
        }
        if (expression instanceof Expression.Slice slice) {
            return access.slice(
                    evaluate(slice.of(), scope),
                    orNull(slice.from(), scope),
                    orNull(slice.to(), scope),
                    orNull(slice.step(), scope));
        }
        if (expression instanceof Expression.Call call) {
            return call(call, scope);
        }
        if (expression instanceof Expression.Filtered filter) {
            return filter(filter, evaluate(filter.of(), scope), scope);
        }
        if (expression instanceof Expression.Tested test) {
            return tests.test(
                    test.name(), evaluate(test.of(), scope), arguments(test.arguments(), scope));
        }
        if (expression instanceof Expression.ListOf list) {
            return values(list.items(), scope);
        }
        if (expression instanceof Expression.TupleOf tuple) {
            return new Tuple(values(tuple.items(), scope));
        }
        if (expression instanceof Expression.DictOf dict) {
            Map<Object, Object> map = new LinkedHashMap<>();
            for (Map.Entry<Expression, Expression> entry : dict.entries()) {
                map.put(evaluate(entry.getKey(), scope), evaluate(entry.getValue(), scope));
            }
            return map;
        }
        return computeOperation(expression, scope);
    }

    private Object computeOperation(Expression expression, Scope scope) {
        if (expression instanceof Expression.Not not) {
            return !Values.isTrue(evaluate(not.of(), scope));
        }
        if (expression instanceof Expression.Logical logical) {
            Object left = evaluate(logical.left(), scope);
            return Values.isTrue(left) == logical.and() ? evaluate(logical.right(), scope) : left;
        }
        if (expression instanceof Expression.Conditional conditional) {
            if (Values.isTrue(evaluate(conditional.condition(), scope))) {
                return evaluate(conditional.then(), scope);
            }
            return conditional.otherwise() == null
                    ? new Undefined("the inline if-expression has no else and was false")
                    : evaluate(conditional.otherwise(), scope);
        }
        if (expression instanceof Expression.Compared compared) {
            return compare(compared, scope);
        }
        if (expression instanceof Expression.Signed signed) {
            Object value = evaluate(signed.of(), scope);
            if (!Numbers.isNumber(value)) {
                throw new TemplateException(
                        "bad operand type for unary sign: '" + Values.type(value) + "'");
            }
            // not 0 - x, which has no negative zero
            return Numbers.calculate("*", value, signed.negative() ? -1L : 1L);
        }
        Expression.Binary binary = (Expression.Binary) expression;
        return operate(
                binary.operator(), evaluate(binary.left(), scope), evaluate(binary.right(), scope));
    }

    private Object orNull(Expression expression, Scope scope) {
        return expression == null ? null : evaluate(expression, scope);
    }

    private List<Object> values(List<Expression> expressions, Scope scope) {
        List<Object> values = new ArrayList<>(expressions.size());
        for (Expression expression : expressions) {
            values.add(evaluate(expression, scope));
        }
        return values;
    }

    private Object call(Expression.Call call, Scope scope) {
        Object function = evaluate(call.of(), scope);
        if (function instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (!(function instanceof Callable callable)) {
            throw new TemplateException("'" + Values.type(function) + "' object is not callable");
        }
        return callable.call(arguments(call.arguments(), scope));
    }

    private Arguments arguments(ArgumentList list, Scope scope) {
        if (list.positional().isEmpty() && list.named().isEmpty()) {
            return Arguments.NONE;
        }
        Map<String, Object> named = new LinkedHashMap<>();
        List<Object> positional = values(list.positional(), scope);
        for (Map.Entry<String, Expression> entry : list.named().entrySet()) {
            named.put(entry.getKey(), evaluate(entry.getValue(), scope));
        }
        return new Arguments(positional, named);
    }

    private boolean compare(Expression.Compared compared, Scope scope) {
        Object left = evaluate(compared.first(), scope);
        for (int i = 0; i < compared.operators().size(); ++i) {
            Object right = evaluate(compared.others().get(i), scope);
            boolean holds =
                    switch (compared.operators().get(i)) {
                        case "==" -> Values.equal(left, right);
                        case "!=" -> !Values.equal(left, right);
                        case "in" -> access.contains(right, left);
                        case "not in" -> !access.contains(right, left);
                        case "<" -> order(left, right) < 0;
                        case "<=" -> order(left, right) <= 0;
                        case ">" -> order(left, right) > 0;
                        default -> order(left, right) >= 0;
                    };
            if (!holds) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private static int order(Object left, Object right) {
        for (Object value : new Object[] {left, right}) {
            if (value instanceof Undefined undefined) {
                throw undefined.failure();
            }
        }
        return Values.compare(left, right);
    }

    private Object operate(String operator, Object left, Object right) {
        if ("~".equals(operator)) {
            return join(Values.text(left), Values.text(right));
        }
        if ("%".equals(operator) && left instanceof String text) {
            return format(text, right);
        }
        for (Object value : new Object[] {left, right}) {
            if (value instanceof Undefined undefined) {
                throw undefined.failure();
            }
        }
        if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
            return Numbers.calculate(operator, left, right);
        }
        Object result = null;
        if ("+".equals(operator)) {
            result = add(left, right);
        } else if ("*".equals(operator)) {
            result = Numbers.isInteger(right) ? repeat(left, right) : repeat(right, left);
        }
        if (result == null) {
            throw new TemplateException(
                    "unsupported operand type(s) for "
                            + operator
                            + ": '"
                            + Values.type(left)
                            + "' and '"
                            + Values.type(right)
                            + "'");
        }
        return result;
    }

    private String format(String text, Object value) {
        List<Object> values = new ArrayList<>();
        if (value instanceof Tuple tuple) {
            values.addAll(tuple.items());
        } else {
            values.add(value);
        }
        // what could be asked by names is not missed where no place asks
        boolean spare = value instanceof List || value instanceof Map || value instanceof Undefined;
        return filters.format(text, values, spare);
    }

    private Object add(Object left, Object right) {
        if (left instanceof String some) {
            if (right instanceof String other) {
                return join(some, other);
            }
            throw new TemplateException(
                    "can only concatenate str (not \"" + Values.type(right) + "\") to str");
        }
        if (left instanceof List<?> some && right instanceof List<?> other) {
            return joined(some, other);
        }
        if (left instanceof Tuple some && right instanceof Tuple other) {
            return new Tuple(joined(some.items(), other.items()));
        }
        return null;
    }

    private List<Object> joined(List<?> some, List<?> other) {
        budget.spend((long) some.size() + other.size());
        List<Object> all = new ArrayList<>(some);
        all.addAll(other);
        return all;
    }

    private String join(String left, String right) {
        budget.text((long) left.length() + right.length());
        return left + right;
    }

    private Object repeat(Object value, Object times) {
        if (!Numbers.isInteger(times) || !(value instanceof String || value instanceof List)) {
            return null;
        }
        // never more than an int: the budget ends far below
        long count = Math.max(0, Math.min(Integer.MAX_VALUE, Numbers.toInteger(times).longValue()));
        if (value instanceof String text) {
            budget.text(count * text.length());
            return text.repeat((int) count);
        }
        List<?> list = (List<?>) value;
        budget.spend(count * Math.max(1, list.size()));
        List<Object> repeated = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            repeated.addAll(list);
        }
        return repeated;
    }
}
