/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Arguments.Bound;
import ai.djl.lora.translate.jinja.Values.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Jinja's filters, what stands behind a bar. */
final class Filters {

    private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern TITLE_PART = Pattern.compile("[-\\s({\\[<]+|[^-\\s({\\[<]+");
    private static final Pattern FORMAT =
            Pattern.compile("%(?:(%)|([-0]?)(\\d*)(\\.\\d+)?([sdifr]))");

    private final Budget budget;
    private final Access access;
    private final Methods methods;
    private final Tests tests;

    /**
     * Constructs a new {@code Filters} instance.
     *
     * @param budget what pays for the texts and lists that are made
     * @param access looks into values
     * @param tests the tests that {@code select} and its like use
     */
    Filters(Budget budget, Access access, Tests tests) {
        this.budget = budget;
        this.access = access;
        this.methods = new Methods(budget, access);
        this.tests = tests;
    }

    /** Applies the filter of a name. */
    Object apply(String name, Object value, Arguments args) {
        return switch (name) {
            case "tojson" -> PythonJson.write(value, args, budget);
            case "trim" ->
                    Methods.strip(text(value), "strip", args.bind(name, "chars").get(0, null));
            case "length", "count" -> access.length(value);
            case "default", "d" -> defaultValue(value, args.bind(name, "default_value", "boolean"));
            case "first", "last" -> end(access.iterate(value), "first".equals(name));
            case "items" -> items(value);
            case "string", "safe" -> text(value);
            case "list" -> made(new ArrayList<>(access.iterate(value)));
            case "join" -> join(access.iterate(value), args.bind(name, "d", "attribute"));
            case "map" -> map(itemsOrNone(value), args);
            case "select", "reject" -> select(value, args, "select".equals(name), false);
            case "selectattr", "rejectattr" -> select(value, args, "selectattr".equals(name), true);
            case "upper" -> Strings.upper(text(value));
            case "lower" -> Strings.lower(text(value));
            case "capitalize" -> Strings.capitalize(text(value));
            case "title" -> title(text(value));
            case "replace" -> methods.replace(text(value), args.bind(name, "old", "new", "count"));
            case "indent" ->
                    indent(text(requireDefined(value)), args.bind(name, "width", "first", "blank"));
            case "reverse" -> reverse(value);
            case "sort" -> sort(value, args.bind(name, "reverse", "case_sensitive", "attribute"));
            case "dictsort" ->
                    dictSort(
                            requireDefined(value),
                            args.bind(name, "case_sensitive", "by", "reverse"));
            case "unique" -> unique(value, args.bind(name, "case_sensitive", "attribute"));
            case "min", "max" ->
                    extreme(value, args.bind(name, "case_sensitive", "attribute"), name);
            case "sum" -> sum(value, args.bind(name, "attribute", "start"));
            case "batch" -> batch(value, args.bind(name, "linecount", "fill_with"));
            case "int" -> toInteger(requireDefined(value), args.bind(name, "default"));
            case "float" -> toFloat(requireDefined(value), args.bind(name, "default").get(0, 0.0));
            case "abs" ->
                    Numbers.calculate(
                            "*", value, Numbers.compare(number(value), 0L) < 0 ? -1L : 1L);
            case "round" -> round(value, args.bind(name, "precision", "method"));
            case "wordcount" -> WORD.matcher(text(value)).results().count();
            case "escape", "e", "forceescape" -> escape(text(value));
            case "format" -> format(text(value), args.positional(), false);
            case "truncate" ->
                    truncate(value, args.bind(name, "length", "killwords", "end", "leeway"));
            case "attr" -> access.attribute(value, args.bind(name, "name").text(0));
            default -> throw new TemplateException("No filter named '" + name + "'.");
        };
    }

    private String text(Object value) {
        String text = Values.text(value);
        budget.text(text.length());
        return text;
    }

    private List<Object> made(List<Object> list) {
        budget.spend(list.size());
        return list;
    }

    private static Object number(Object value) {
        requireDefined(value);
        if (!Numbers.isNumber(value)) {
            throw new TemplateException("a number is needed, found a " + Values.type(value));
        }
        return value;
    }

    private static Object requireDefined(Object value) {
        if (value instanceof Undefined undefined) {
            throw undefined.failure();
        }
        return value;
    }

    /** Returns what map and select go through: nothing in what is empty, none or false. */
    private List<?> itemsOrNone(Object value) {
        return Values.isTrue(value) ? access.iterate(value) : List.of();
    }

    private static Object defaultValue(Object value, Bound bound) {
        boolean replaced = value instanceof Undefined || bound.truth(1) && !Values.isTrue(value);
        return replaced ? bound.get(0, "") : value;
    }

    private static Object end(List<?> items, boolean first) {
        if (items.isEmpty()) {
            return new Undefined("No " + (first ? "first" : "last") + " item, sequence was empty.");
        }
        return items.get(first ? 0 : items.size() - 1);
    }

    private List<Object> items(Object value) {
        if (value instanceof Undefined) {
            return List.of();
        }
        if (value instanceof Map<?, ?> map) {
            return methods.items(map);
        }
        throw new TemplateException("Can only get item pairs from a mapping.");
    }

    private String join(List<?> items, Bound bound) {
        String separator = Values.text(bound.get(0, ""));
        StringBuilder joined = new StringBuilder();
        for (int i = 0; i < items.size(); ++i) {
            String item = Values.text(attribute(items.get(i), bound.get(1, null)));
            int added = separator.length() + item.length();
            budget.append(added, (long) joined.length() + added);
            joined.append(i == 0 ? "" : separator).append(item);
        }
        return joined.toString();
    }

    /** Returns an item's attribute, which may be a path with dots; the item itself without one. */
    private Object attribute(Object item, Object path) {
        if (path == null) {
            return item;
        }
        if (!(path instanceof String names)) {
            return access.item(item, path);
        }
        Object value = item;
        for (String name : names.split("\\.", -1)) {
            boolean number = !name.isEmpty() && name.chars().allMatch(c -> c >= '0' && c <= '9');
            value =
                    access.item(
                            value,
                            number && name.length() < 10 ? (Object) Long.valueOf(name) : name);
        }
        return value;
    }

    private Object map(List<?> items, Arguments args) {
        List<Object> mapped = new ArrayList<>(items.size());
        if (args.positional().isEmpty()) {
            Bound bound = args.bind("map", "attribute", "default");
            for (Object item : items) {
                Object value = attribute(item, bound.get(0));
                mapped.add(value instanceof Undefined && bound.has(1) ? bound.get(1) : value);
            }
        } else {
            String filter = Values.text(args.positional().get(0));
            for (Object item : items) {
                mapped.add(apply(filter, item, args.rest()));
            }
        }
        return made(mapped);
    }

    private List<Object> select(Object value, Arguments args, boolean wanted, boolean byAttribute) {
        Arguments rest = args;
        Object path = null;
        if (byAttribute) {
            if (args.positional().isEmpty()) {
                throw new TemplateException("selectattr() needs the name of an attribute");
            }
            path = args.positional().get(0);
            rest = args.rest();
        }
        List<Object> selected = new ArrayList<>();
        for (Object item : itemsOrNone(value)) {
            Object tested = attribute(item, path);
            boolean passes =
                    rest.positional().isEmpty()
                            ? Values.isTrue(tested)
                            : tests.test(
                                    Values.text(rest.positional().get(0)), tested, rest.rest());
            if (passes == wanted) {
                selected.add(item);
            }
        }
        return made(selected);
    }

    private static String title(String text) {
        StringBuilder titled = new StringBuilder(text.length());
        Matcher parts = TITLE_PART.matcher(text);
        while (parts.find()) {
            titled.append(Strings.capitalize(parts.group()));
        }
        return titled.toString();
    }

    private String indent(String text, Bound bound) {
        String indent =
                bound.get(0, 4L) instanceof String given
                        ? given
                        : " ".repeat(Math.max(0, Math.min(1000, bound.integer(0, 4))));
        // as Jinja does: a newline at the end begins another line
        List<Object> lines = methods.splitLines(text + "\n");
        StringBuilder indented = new StringBuilder();
        for (int i = 0; i < lines.size(); ++i) {
            String line = (String) lines.get(i);
            boolean shifted = i == 0 ? bound.truth(1) : bound.truth(2) || !line.isEmpty();
            int added = 1 + indent.length() + line.length();
            budget.append(added, (long) indented.length() + added);
            indented.append(i == 0 ? "" : "\n").append(shifted ? indent : "").append(line);
        }
        return indented.toString();
    }

    private Object reverse(Object value) {
        if (value instanceof String text) {
            budget.text(text.length());
            return new StringBuilder(text).reverse().toString();
        }
        List<Object> reversed = new ArrayList<>(access.iterate(value));
        Collections.reverse(reversed);
        return made(reversed);
    }

    private static Object withoutCase(Object value, boolean caseSensitive) {
        return value instanceof String text && !caseSensitive ? Strings.lower(text) : value;
    }

    private Comparator<Object> order(boolean caseSensitive, Object path, boolean reversed) {
        Comparator<Object> order =
                (a, b) -> {
                    budget.step();
                    Object left = withoutCase(attribute(a, path), caseSensitive);
                    Object right = withoutCase(attribute(b, path), caseSensitive);
                    // some values may be equal but have no order, none for instance
                    return Values.equal(left, right) ? 0 : Values.compare(left, right);
                };
        return reversed ? order.reversed() : order;
    }

    private List<Object> sort(Object value, Bound bound) {
        List<Object> sorted = new ArrayList<>(access.iterate(value));
        sorted.sort(order(bound.truth(1), bound.get(2, null), bound.truth(0)));
        return made(sorted);
    }

    private List<Object> dictSort(Object value, Bound bound) {
        List<Object> sorted = new ArrayList<>(items(value));
        long by = "value".equals(bound.get(1, "key")) ? 1 : 0;
        sorted.sort(order(bound.truth(0), by, bound.truth(2)));
        return made(sorted);
    }

    private List<Object> unique(Object value, Bound bound) {
        List<Object> kept = new ArrayList<>();
        List<Object> seen = new ArrayList<>();
        for (Object item : access.iterate(value)) {
            Object key = withoutCase(attribute(item, bound.get(1, null)), bound.truth(0));
            if (!access.contains(seen, key)) {
                seen.add(key);
                kept.add(item);
            }
        }
        return made(kept);
    }

    private Object extreme(Object value, Bound bound, String name) {
        List<?> items = access.iterate(value);
        if (items.isEmpty()) {
            return new Undefined("No aggregated item, sequence was empty.");
        }
        Comparator<Object> order = order(bound.truth(0), bound.get(1, null), false);
        return "min".equals(name) ? Collections.min(items, order) : Collections.max(items, order);
    }

    private Object sum(Object value, Bound bound) {
        Object sum = bound.get(1, 0L);
        for (Object item : access.iterate(value)) {
            Object summand = attribute(item, bound.get(0, null));
            sum = Numbers.calculate("+", number(sum), number(summand));
        }
        return sum;
    }

    private List<Object> batch(Object value, Bound bound) {
        int size = Math.max(1, bound.integer(0, 1));
        List<Object> batches = new ArrayList<>();
        List<?> items = access.iterate(value);
        for (int i = 0; i < items.size(); i += size) {
            List<Object> batch =
                    new ArrayList<>(items.subList(i, Math.min(items.size(), i + size)));
            while (bound.get(1, null) != null && batch.size() < size) {
                budget.step();
                batch.add(bound.get(1));
            }
            batches.add(batch);
        }
        return made(batches);
    }

    private static Object toInteger(Object value, Bound bound) {
        try {
            if (Numbers.isInteger(value)) {
                return Numbers.integer(Numbers.toInteger(value));
            }
            BigDecimal number =
                    value instanceof Double real
                            ? new BigDecimal(real)
                            : new BigDecimal(Strings.strip(Values.text(value)).replace("_", ""));
            // digits that are not written out would make a small text a huge number
            if (number.scale() < -400) {
                return bound.get(0, 0L);
            }
            return Numbers.integer(number.toBigInteger());
        } catch (NumberFormatException e) {
            return bound.get(0, Numbers.integer(BigInteger.ZERO));
        }
    }

    private static Object toFloat(Object value, Object defaultValue) {
        if (Numbers.isNumber(value)) {
            return Numbers.toDouble(value);
        }
        try {
            return new BigDecimal(Strings.strip(Values.text(value))).doubleValue();
        } catch (NumberFormatException e) {
            return defaultValue;
        }
    }

    private static Object round(Object value, Bound bound) {
        double number = Numbers.toDouble(number(value));
        int digits = Math.max(-300, Math.min(300, bound.integer(0, 0)));
        if (Numbers.isInteger(value) && digits >= 0 && "common".equals(bound.get(1, "common"))) {
            return Numbers.integer(Numbers.toInteger(value));
        }
        double scale = Math.pow(10, digits);
        return switch (bound.text(1, "common")) {
            case "ceil" -> Math.ceil(number * scale) / scale;
            case "floor" -> Math.floor(number * scale) / scale;
            default -> Numbers.round(number, digits);
        };
    }

    private String escape(String text) {
        String escaped =
                text.replace("&", "&amp;")
                        .replace("<", "&lt;")
                        .replace(">", "&gt;")
                        .replace("'", "&#39;")
                        .replace("\"", "&#34;");
        budget.text(escaped.length());
        return escaped;
    }

    /**
     * Puts values into a text in the places that {@code %s}, {@code %d} and their like mark.
     *
     * @param text the text with the places
     * @param values the values in order
     * @param spare whether there may be more values than places
     * @return the text
     */
    String format(String text, List<Object> values, boolean spare) {
        Matcher places = FORMAT.matcher(text);
        StringBuilder formatted = new StringBuilder();
        int next = 0;
        while (places.find()) {
            String shown = "%";
            if (places.group(1) == null) {
                if (next == values.size()) {
                    throw new TemplateException("not enough arguments for format string");
                }
                shown = formatted(places, values.get(next++));
            }
            places.appendReplacement(formatted, Matcher.quoteReplacement(shown));
            budget.append(shown.length(), formatted.length());
        }
        if (next < values.size() && !spare) {
            throw new TemplateException("not all arguments converted during string formatting");
        }
        places.appendTail(formatted);
        budget.text(formatted.length());
        return formatted.toString();
    }

    private static String formatted(Matcher place, Object value) {
        String precision = place.group(4) == null ? "" : place.group(4).substring(1);
        int digits = precision.isEmpty() ? 6 : Math.min(100, Integer.parseInt(precision));
        String shown =
                switch (place.group(5)) {
                    case "d", "i" ->
                            Numbers.isInteger(number(value))
                                    ? Numbers.toInteger(value).toString()
                                    : new BigDecimal(Numbers.toDouble(value))
                                            .toBigInteger()
                                            .toString();
                    case "f" ->
                            new BigDecimal(Numbers.toDouble(number(value)))
                                    .setScale(digits, java.math.RoundingMode.HALF_EVEN)
                                    .toPlainString();
                    default -> Values.text(value);
                };
        String width = place.group(3);
        int missing =
                width.isEmpty() || width.length() > 3
                        ? 0
                        : Integer.parseInt(width) - Strings.length(shown);
        if (missing <= 0) {
            return shown;
        }
        return switch (place.group(2)) {
            case "-" -> shown + " ".repeat(missing);
            case "0" -> "0".repeat(missing) + shown;
            default -> " ".repeat(missing) + shown;
        };
    }

    private Object truncate(Object value, Bound bound) {
        int length = bound.integer(0, 255);
        String end = bound.text(2, "...");
        if (access.length(value) <= (long) length + bound.integer(3, 5)) {
            return value;
        }
        String text = text(value);
        int kept = Math.max(0, length - Strings.length(end));
        String cut = text.substring(0, text.offsetByCodePoints(0, kept));
        int space = cut.lastIndexOf(' ');
        return (bound.truth(1) || space < 0 ? cut : cut.substring(0, space)) + end;
    }
}
