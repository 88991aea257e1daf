/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/** Jinja's tests, what stands behind {@code is}. */
final class Tests {

    private static final Map<String, Predicate<Object>> OF_ONE =
            Map.ofEntries(
                    Map.entry("boolean", value -> value instanceof Boolean),
                    Map.entry(
                            "callable",
                            value ->
                                    value instanceof Values.Callable
                                            || value instanceof Values.Undefined),
                    Map.entry("defined", value -> !(value instanceof Values.Undefined)),
                    Map.entry("undefined", value -> value instanceof Values.Undefined),
                    Map.entry("even", value -> remainder(value, 2L) == 0),
                    Map.entry("odd", value -> remainder(value, 2L) == 1),
                    Map.entry("true", value -> Boolean.TRUE.equals(value)),
                    Map.entry("false", value -> Boolean.FALSE.equals(value)),
                    Map.entry("none", value -> value == null),
                    Map.entry("float", value -> value instanceof Double),
                    Map.entry(
                            "integer",
                            value -> Numbers.isInteger(value) && !(value instanceof Boolean)),
                    Map.entry("number", Numbers::isNumber),
                    Map.entry("string", value -> value instanceof String),
                    Map.entry("mapping", value -> value instanceof Map),
                    Map.entry("sequence", Tests::isIterable),
                    Map.entry("iterable", Tests::isIterable),
                    Map.entry("lower", value -> Strings.isLower(Values.text(value))),
                    Map.entry("upper", value -> Strings.isUpper(Values.text(value))));

    private static final Set<String> EQUAL = Set.of("eq", "equalto", "==");

    private static final Map<String, Predicate<Integer>> ORDERS =
            Map.of(
                    "gt", order -> order > 0,
                    "greaterthan", order -> order > 0,
                    "ge", order -> order >= 0,
                    "lt", order -> order < 0,
                    "lessthan", order -> order < 0,
                    "le", order -> order <= 0);

    private final Access access;

    /**
     * Constructs a new {@code Tests} instance.
     *
     * @param access looks into values
     */
    Tests(Access access) {
        this.access = access;
    }

    /** Tells whether a value passes the test of a name. */
    boolean test(String name, Object value, Arguments arguments) {
        Predicate<Object> simple = OF_ONE.get(name);
        if (simple != null) {
            arguments.bind(name);
            return simple.test(value);
        }
        Function<Object, Boolean> comparison = comparison(name, value);
        if (comparison == null) {
            throw new TemplateException("No test named '" + name + "'");
        }
        return comparison.apply(arguments.bind(name, "other").get(0));
    }

    private Function<Object, Boolean> comparison(String name, Object value) {
        if (EQUAL.contains(name)) {
            return other -> Values.equal(value, other);
        }
        if (ORDERS.containsKey(name)) {
            return other -> ORDERS.get(name).test(Values.compare(value, other));
        }
        return switch (name) {
            case "sameas" ->
                    other ->
                            value instanceof Boolean == other instanceof Boolean
                                    && Values.equal(value, other);
            case "ne" -> other -> !Values.equal(value, other);
            case "in" -> other -> access.contains(other, value);
            case "divisibleby" -> other -> remainder(value, other) == 0;
            default -> null;
        };
    }

    private static double remainder(Object value, Object divisor) {
        if (!Numbers.isNumber(value) || !Numbers.isNumber(divisor)) {
            throw new TemplateException(
                    "unsupported operand type(s) for %: '"
                            + Values.type(value)
                            + "' and '"
                            + Values.type(divisor)
                            + "'");
        }
        return Numbers.calculate("%", value, divisor).doubleValue();
    }

    private static boolean isIterable(Object value) {
        return value instanceof String
                || value instanceof List
                || value instanceof Values.Tuple
                || value instanceof Map
                || value instanceof Values.Undefined;
    }
}
