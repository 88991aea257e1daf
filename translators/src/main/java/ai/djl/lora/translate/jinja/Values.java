/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;
import java.util.Map;

/**
 * Python's values and what Python does with them. Besides numbers there are null for {@code None},
 * {@code Boolean}, {@code String}, {@code List}, {@link Tuple}, {@code Map}, {@link Undefined},
 * {@link Namespace} and {@link Callable}; nothing else ever gets into a template.
 */
final class Values {

    private static final int MAX_DEPTH = 150;

    private Values() {}

    /** A list that cannot be changed, which Python writes with round brackets. */
    record Tuple(List<Object> items) {}

    /** What a name stands for that nobody has given a value. */
    record Undefined(String reason) {

        TemplateException failure() {
            return new TemplateException(reason);
        }
    }

    /** An object whose fields a template may set. */
    record Namespace(Map<String, Object> fields) {}

    /** What can be called. */
    @FunctionalInterface
    interface Callable {

        /**
         * Calls it.
         *
         * @param arguments the arguments
         * @return the value
         */
        Object call(Arguments arguments);
    }

    static boolean isTrue(Object value) {
        if (value instanceof Boolean truth) {
            return truth;
        }
        if (value instanceof Number number) {
            return number.doubleValue() != 0;
        }
        if (value instanceof String text) {
            return !text.isEmpty();
        }
        if (value instanceof List<?> list) {
            return !list.isEmpty();
        }
        if (value instanceof Tuple tuple) {
            return !tuple.items().isEmpty();
        }
        if (value instanceof Map<?, ?> map) {
            return !map.isEmpty();
        }
        return value != null && !(value instanceof Undefined);
    }

    /** Returns Python's name of a value's type. */
    static String type(Object value) {
        if (value == null) {
            return "NoneType";
        }
        if (value instanceof Boolean) {
            return "bool";
        }
        if (value instanceof Double) {
            return "float";
        }
        if (value instanceof Number) {
            return "int";
        }
        if (value instanceof String) {
            return "str";
        }
        if (value instanceof List) {
            return "list";
        }
        if (value instanceof Map) {
            return "dict";
        }
        return value instanceof Callable ? "function" : value.getClass().getSimpleName();
    }

    static boolean equal(Object left, Object right) {
        return equal(left, right, 0);
    }

    private static boolean equal(Object left, Object right, int depth) {
        requireDepth(depth);
        if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
            return Numbers.compare(left, right) == 0;
        }
        if (left instanceof List<?> some && right instanceof List<?> others) {
            return equalItems(some, others, depth);
        }
        if (left instanceof Tuple some && right instanceof Tuple others) {
            return equalItems(some.items(), others.items(), depth);
        }
        if (left instanceof Map<?, ?> some && right instanceof Map<?, ?> others) {
            if (some.size() != others.size()) {
                return false;
            }
            for (Map.Entry<?, ?> entry : some.entrySet()) {
                Object key = entry.getKey();
                if (!others.containsKey(key)
                        || !equal(entry.getValue(), others.get(key), depth + 1)) {
                    return false;
                }
            }
            return true;
        }
        if (left instanceof Undefined && right instanceof Undefined) {
            return true;
        }
        return left == null ? right == null : left instanceof String && left.equals(right);
    }

    private static boolean equalItems(List<?> some, List<?> others, int depth) {
        if (some.size() != others.size()) {
            return false;
        }
        for (int i = 0; i < some.size(); ++i) {
            if (!equal(some.get(i), others.get(i), depth + 1)) {
                return false;
            }
        }
        return true;
    }

    /** Compares two numbers, texts or lists. */
    static int compare(Object left, Object right) {
        if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
            return Numbers.compare(left, right);
        }
        if (left instanceof String some && right instanceof String other) {
            // by code points, where Java compares halves of surrogate pairs
            int[] a = some.codePoints().toArray();
            int[] b = other.codePoints().toArray();
            return java.util.Arrays.compare(a, b);
        }
        List<?> some = left instanceof Tuple tuple ? tuple.items() : asList(left);
        List<?> other = right instanceof Tuple tuple ? tuple.items() : asList(right);
        if (some == null || other == null || left.getClass() != right.getClass()) {
            throw new TemplateException(
                    "'<' not supported between instances of '"
                            + type(left)
                            + "' and '"
                            + type(right)
                            + "'");
        }
        for (int i = 0; i < Math.min(some.size(), other.size()); ++i) {
            if (!equal(some.get(i), other.get(i))) {
                return compare(some.get(i), other.get(i));
            }
        }
        return Integer.compare(some.size(), other.size());
    }

    private static List<?> asList(Object value) {
        return value instanceof List<?> list ? list : null;
    }

    /** Returns a value's text, as {@code str} does. */
    static String text(Object value) {
        if (value instanceof String text) {
            return text;
        }
        if (value instanceof Undefined) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        represent(value, text, 0);
        return text.toString();
    }

    private static void represent(Object value, StringBuilder text, int depth) {
        requireDepth(depth);
        if (value == null) {
            text.append("None");
        } else if (value instanceof Boolean truth) {
            text.append(truth ? "True" : "False");
        } else if (value instanceof Number number) {
            text.append(Numbers.text(number));
        } else if (value instanceof String string) {
            representString(string, text);
        } else if (value instanceof List<?> list) {
            representItems('[', list, "]", text, depth);
        } else if (value instanceof Tuple tuple) {
            representItems('(', tuple.items(), tuple.items().size() == 1 ? ",)" : ")", text, depth);
        } else if (value instanceof Map<?, ?> map) {
            text.append('{');
            String separator = "";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                text.append(separator);
                represent(entry.getKey(), text, depth + 1);
                text.append(": ");
                represent(entry.getValue(), text, depth + 1);
                separator = ", ";
            }
            text.append('}');
        } else if (value instanceof Undefined) {
            text.append("Undefined");
        } else {
            throw new TemplateException("a " + type(value) + " has no text");
        }
    }

    private static void representItems(
            char open, List<?> items, String close, StringBuilder text, int depth) {
        text.append(open);
        for (int i = 0; i < items.size(); ++i) {
            text.append(i == 0 ? "" : ", ");
            represent(items.get(i), text, depth + 1);
        }
        text.append(close);
    }

    private static void representString(String string, StringBuilder text) {
        char quote = string.indexOf('\'') >= 0 && string.indexOf('"') < 0 ? '"' : '\'';
        text.append(quote);
        string.codePoints().forEach(c -> representCharacter(c, quote, text));
        text.append(quote);
    }

    private static void representCharacter(int c, char quote, StringBuilder text) {
        int simple = "\n\r\t".indexOf(c);
        if (simple >= 0) {
            text.append('\\').append("nrt".charAt(simple));
        } else if (c == quote || c == '\\') {
            text.append('\\').append((char) c);
        } else if (c == ' ' || isPrintable(c)) {
            text.appendCodePoint(c);
        } else {
            String format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
            text.append(String.format(format, c));
        }
    }

    private static boolean isPrintable(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SPACE_SEPARATOR ->
                    false;
            default -> true;
        };
    }

    /** Fails where values are nested so deeply that going through them would end the stack. */
    static void requireDepth(int depth) {
        if (depth > MAX_DEPTH) {
            throw new TemplateException("values are nested deeper than " + MAX_DEPTH);
        }
    }
}
