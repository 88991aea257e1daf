/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Values.Tuple;
import java.util.List;
import java.util.Map;

/**
 * Writes JSON as Python's {@code json.dumps} does, which is how transformers defines the filter
 * {@code tojson}: not escaped for HTML, and by default not beyond ASCII either.
 */
final class PythonJson {

    private final StringBuilder text = new StringBuilder();
    private final Budget budget;
    private final boolean ascii;
    private final boolean sorted;
    private final String indent;
    private final String itemSeparator;
    private final String keySeparator;

    private PythonJson(Budget budget, Arguments.Bound options) {
        this.budget = budget;
        ascii = options.truth(0);
        Object indentation = options.get(1, null);
        if (indentation == null) {
            indent = null;
        } else if (indentation instanceof Long width && width >= 0 && width <= 32) {
            indent = " ".repeat(width.intValue());
        } else {
            indent = options.text(1);
        }
        if (options.get(2, null) instanceof Tuple pair && pair.items().size() == 2) {
            itemSeparator = Values.text(pair.items().get(0));
            keySeparator = Values.text(pair.items().get(1));
        } else {
            itemSeparator = indent == null ? ", " : ",";
            keySeparator = ": ";
        }
        sorted = options.truth(3);
    }

    /**
     * Writes a value.
     *
     * @param value the value
     * @param arguments {@code ensure_ascii}, {@code indent}, {@code separators}, {@code sort_keys}
     * @param budget what pays for it
     * @return the JSON text
     */
    static String write(Object value, Arguments arguments, Budget budget) {
        PythonJson writer =
                new PythonJson(
                        budget,
                        arguments.bind(
                                "tojson", "ensure_ascii", "indent", "separators", "sort_keys"));
        writer.write(value, 0);
        return writer.text.toString();
    }

    private void write(Object value, int depth) {
        Values.requireDepth(depth);
        int before = text.length();
        if (value == null || value instanceof Boolean) {
            text.append(value);
        } else if (value instanceof Number number) {
            text.append(number(number));
        } else if (value instanceof String string) {
            writeString(string);
        } else if (value instanceof List<?> list) {
            writeList(list, depth);
        } else if (value instanceof Tuple tuple) {
            writeList(tuple.items(), depth);
        } else if (value instanceof Map<?, ?> map) {
            writeMap(map, depth);
        } else {
            throw new TemplateException(
                    "Object of type " + Values.type(value) + " is not JSON serializable");
        }
        budget.text(text.length() - before);
    }

    private static String number(Number number) {
        String written = Numbers.text(number);
        return switch (written) {
            case "nan" -> "NaN";
            case "inf" -> "Infinity";
            case "-inf" -> "-Infinity";
            default -> written;
        };
    }

    private void writeList(List<?> list, int depth) {
        if (list.isEmpty()) {
            text.append("[]");
            return;
        }
        text.append('[');
        for (int i = 0; i < list.size(); ++i) {
            text.append(i == 0 ? "" : itemSeparator);
            newLine(depth + 1);
            write(list.get(i), depth + 1);
        }
        newLine(depth);
        text.append(']');
    }

    private void writeMap(Map<?, ?> map, int depth) {
        if (map.isEmpty()) {
            text.append("{}");
            return;
        }
        text.append('{');
        List<? extends Map.Entry<?, ?>> entries = List.copyOf(map.entrySet());
        if (sorted) {
            entries =
                    entries.stream()
                            .sorted((a, b) -> Values.compare(a.getKey(), b.getKey()))
                            .toList();
        }
        String separator = "";
        for (Map.Entry<?, ?> entry : entries) {
            text.append(separator);
            newLine(depth + 1);
            writeString(key(entry.getKey()));
            text.append(keySeparator);
            write(entry.getValue(), depth + 1);
            separator = itemSeparator;
        }
        newLine(depth);
        text.append('}');
    }

    private static String key(Object key) {
        if (key instanceof String name) {
            return name;
        }
        if (key == null || key instanceof Boolean) {
            return String.valueOf(key);
        }
        if (key instanceof Number number) {
            return number(number);
        }
        throw new TemplateException("keys must be texts, not " + Values.type(key));
    }

    private void newLine(int depth) {
        if (indent != null) {
            text.append('\n').append(indent.repeat(depth));
        }
    }

    private void writeString(String string) {
        text.append('"');
        for (int i = 0; i < string.length(); ++i) {
            char c = string.charAt(i);
            int simple = "\"\\\n\r\t\f\b".indexOf(c);
            if (simple >= 0) {
                text.append('\\').append("\"\\nrtfb".charAt(simple));
            } else if (c < ' ' || ascii && c > '~') {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        text.append('"');
    }
}
