/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Arguments.Bound;
import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Tuple;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;

/**
 * The methods of Python's texts, lists and dictionaries that change nothing. transformers renders
 * in a sandbox that refuses the others.
 */
final class Methods {

    private final Budget budget;
    private final Access access;

    /**
     * Constructs a new {@code Methods} instance.
     *
     * @param budget what pays for the texts and lists that are made
     * @param access looks into values
     */
    Methods(Budget budget, Access access) {
        this.budget = budget;
        this.access = access;
    }

    /** Returns a value's method; null if it has none of that name. */
    Callable find(Object of, String name) {
        if (of instanceof String text) {
            return ofText(text, name);
        }
        if (of instanceof Map<?, ?> map) {
            return ofMap(map, name);
        }
        return of instanceof List<?> || of instanceof Tuple ? ofList(of, name) : null;
    }

    private Callable ofMap(Map<?, ?> map, String name) {
        return switch (name) {
            case "keys" -> args -> made(new ArrayList<Object>(map.keySet()));
            case "values" -> args -> made(new ArrayList<Object>(map.values()));
            case "items" -> args -> items(map);
            case "copy" -> args -> new java.util.LinkedHashMap<Object, Object>(map);
            case "get" ->
                    args -> {
                        Bound bound = args.bind(name, "key", "default");
                        Object key = bound.get(0);
                        return map.containsKey(key) ? map.get(key) : bound.get(1, null);
                    };
            default -> null;
        };
    }

    /** Returns a dictionary's keys and values in pairs. */
    List<Object> items(Map<?, ?> map) {
        List<Object> pairs = new ArrayList<>(map.size());
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            List<Object> pair = new ArrayList<>(2);
            pair.add(entry.getKey());
            pair.add(entry.getValue());
            pairs.add(new Tuple(pair));
        }
        return made(pairs);
    }

    private List<Object> made(List<Object> list) {
        budget.spend(list.size());
        return list;
    }

    private Callable ofList(Object list, String name) {
        return switch (name) {
            case "copy" ->
                    list instanceof Tuple ? null : args -> made(new ArrayList<>((List<?>) list));
            case "index", "count" ->
                    args -> {
                        Object wanted = args.bind(name, "value").get(0);
                        List<?> items = access.iterate(list);
                        long count = 0;
                        for (int i = 0; i < items.size(); ++i) {
                            if (Values.equal(items.get(i), wanted)) {
                                if ("index".equals(name)) {
                                    return (long) i;
                                }
                                ++count;
                            }
                        }
                        if ("index".equals(name)) {
                            throw new TemplateException("the value is not in the list");
                        }
                        return count;
                    };
            default -> null;
        };
    }

    private Callable ofText(String text, String name) {
        switch (name) {
            case "strip":
            case "lstrip":
            case "rstrip":
                return args -> strip(text, name, args.bind(name, "chars").get(0, null));
            case "upper":
                return args -> Strings.upper(text);
            case "lower":
            case "casefold":
                return args -> Strings.lower(text);
            case "capitalize":
                return args -> Strings.capitalize(text);
            case "title":
                return args -> title(text);
            case "startswith":
            case "endswith":
                return args -> touches(text, name, args.bind(name, "prefix").get(0));
            case "removeprefix":
            case "removesuffix":
                return args -> remove(text, name, args.bind(name, "affix").text(0));
            case "split":
            case "rsplit":
                return args ->
                        split(text, args.bind(name, "sep", "maxsplit"), "rsplit".equals(name));
            case "splitlines":
                return args -> splitLines(text);
            case "partition":
            case "rpartition":
                return args -> partition(text, args.bind(name, "sep").text(0), name);
            case "join":
                return args -> join(text, access.iterate(args.bind(name, "iterable").get(0)));
            case "replace":
                return args -> replace(text, args.bind(name, "old", "new", "count"));
            case "find":
            case "rfind":
            case "index":
            case "rindex":
                return args -> find(text, name, args.bind(name, "sub").text(0));
            case "count":
                return args -> count(text, args.bind(name, "sub").text(0));
            case "isdigit":
            case "isdecimal":
            case "isnumeric":
                return args -> all(text, Character::isDigit);
            case "isalpha":
                return args -> all(text, Character::isLetter);
            case "isalnum":
                return args -> all(text, Character::isLetterOrDigit);
            case "isspace":
                return args -> all(text, Strings::isSpace);
            case "isupper":
                return args -> Strings.isUpper(text);
            case "islower":
                return args -> Strings.isLower(text);
            case "ljust":
            case "rjust":
            case "zfill":
                return args -> pad(text, name, args.bind(name, "width", "fillchar"));
            default:
                return null;
        }
    }

    static String strip(String text, String name, Object characters) {
        if (characters == null) {
            return switch (name) {
                case "lstrip" -> Strings.stripStart(text);
                case "rstrip" -> Strings.stripEnd(text);
                default -> Strings.strip(text);
            };
        }
        if (!(characters instanceof String set)) {
            throw new TemplateException(name + " arg must be None or str");
        }
        String end = "lstrip".equals(name) ? text : Strings.stripEnd(text, set);
        return "rstrip".equals(name) ? end : Strings.stripStart(end, set);
    }

    /** Returns a text with the first letter of each word in upper case and the others in lower. */
    private static String title(String text) {
        StringBuilder titled = new StringBuilder(text.length());
        boolean inside = false;
        for (int c : text.codePoints().toArray()) {
            titled.appendCodePoint(inside ? Character.toLowerCase(c) : Character.toTitleCase(c));
            inside = Character.isLetter(c);
        }
        return titled.toString();
    }

    private static boolean touches(String text, String name, Object affixes) {
        List<?> each = affixes instanceof Tuple tuple ? tuple.items() : List.of(affixes);
        for (Object affix : each) {
            if (!(affix instanceof String part)) {
                throw new TemplateException(
                        name
                                + " first arg must be str or a tuple of str, not "
                                + Values.type(affix));
            }
            if ("startswith".equals(name) ? text.startsWith(part) : text.endsWith(part)) {
                return true;
            }
        }
        return false;
    }

    private static String remove(String text, String name, String affix) {
        if ("removeprefix".equals(name)) {
            return text.startsWith(affix) ? text.substring(affix.length()) : text;
        }
        return text.endsWith(affix) ? text.substring(0, text.length() - affix.length()) : text;
    }

    private List<Object> split(String text, Bound bound, boolean fromRight) {
        budget.text(text.length());
        Object separator = bound.get(0, null);
        int most = bound.integer(1, -1);
        List<Object> parts = new ArrayList<>();
        if (separator == null) {
            splitAtSpace(text, most, fromRight, parts);
            return parts;
        }
        String at = bound.text(0);
        if (at.isEmpty()) {
            throw new TemplateException("empty separator");
        }
        int start = 0;
        int end = text.length();
        while (parts.size() != most) {
            int found = fromRight ? lastIndexOf(text, at, end) : text.indexOf(at, start);
            if (found < 0) {
                break;
            }
            parts.add(
                    text.substring(
                            fromRight ? found + at.length() : start, fromRight ? end : found));
            start = fromRight ? start : found + at.length();
            end = fromRight ? found : end;
        }
        parts.add(text.substring(start, end));
        if (fromRight) {
            Collections.reverse(parts);
        }
        return parts;
    }

    private static int lastIndexOf(String text, String part, int end) {
        return end < part.length() ? -1 : text.lastIndexOf(part, end - part.length());
    }

    private static void splitAtSpace(String text, int most, boolean fromRight, List<Object> parts) {
        int start = 0;
        int end = text.length();
        while (true) {
            start = fromRight ? start : skip(text, start, end, 1, true);
            end = fromRight ? skip(text, end, start, -1, true) : end;
            if (start == end) {
                break;
            }
            if (parts.size() == most) {
                // the space at the far end stays
                parts.add(text.substring(start, end));
                break;
            }
            int cut =
                    fromRight
                            ? skip(text, end, start, -1, false)
                            : skip(text, start, end, 1, false);
            parts.add(fromRight ? text.substring(cut, end) : text.substring(start, cut));
            start = fromRight ? start : cut;
            end = fromRight ? cut : end;
        }
        if (fromRight) {
            Collections.reverse(parts);
        }
    }

    /** Returns the first place from one towards another where no space is, or where one is. */
    private static int skip(String text, int from, int to, int step, boolean spaces) {
        int position = from;
        while (position != to
                && Strings.isSpace(text.charAt(step > 0 ? position : position - 1)) == spaces) {
            position += step;
        }
        return position;
    }

    /** Returns a text's lines without their ends. */
    List<Object> splitLines(String text) {
        budget.text(text.length());
        List<Object> lines = new ArrayList<>();
        int start = 0;
        int i = 0;
        while (i < text.length()) {
            char c = text.charAt(i++);
            if ("\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029".indexOf(c) >= 0) {
                lines.add(text.substring(start, i - 1));
                if (c == '\r' && i < text.length() && text.charAt(i) == '\n') {
                    ++i;
                }
                start = i;
            }
        }
        if (start < text.length()) {
            lines.add(text.substring(start));
        }
        return lines;
    }

    private static Tuple partition(String text, String at, String name) {
        if (at.isEmpty()) {
            throw new TemplateException("empty separator");
        }
        boolean first = "partition".equals(name);
        int found = first ? text.indexOf(at) : text.lastIndexOf(at);
        if (found < 0) {
            return new Tuple(first ? List.of(text, "", "") : List.of("", "", text));
        }
        return new Tuple(
                List.of(text.substring(0, found), at, text.substring(found + at.length())));
    }

    private String join(String separator, List<?> items) {
        StringBuilder joined = new StringBuilder();
        for (int i = 0; i < items.size(); ++i) {
            if (!(items.get(i) instanceof String text)) {
                throw new TemplateException(
                        "sequence item "
                                + i
                                + ": expected str instance, "
                                + Values.type(items.get(i))
                                + " found");
            }
            int added = separator.length() + text.length();
            budget.append(added, (long) joined.length() + added);
            joined.append(i == 0 ? "" : separator).append(text);
        }
        return joined.toString();
    }

    /** Returns a text with some or all of a part's occurrences replaced. */
    String replace(String text, Bound bound) {
        String old = bound.text(0);
        String by = bound.text(1);
        int most = bound.get(2, null) == null ? -1 : bound.integer(2, -1);
        StringBuilder replaced = new StringBuilder();
        int position = 0;
        int count = 0;
        while (count != most) {
            int found = text.indexOf(old, position);
            if (found < 0) {
                break;
            }
            int added = found - position + by.length() + 1;
            budget.append(added, (long) replaced.length() + added);
            replaced.append(text, position, found).append(by);
            position = found + old.length();
            ++count;
            if (old.isEmpty()) {
                if (found >= text.length()) {
                    break;
                }
                int character = text.codePointAt(position);
                replaced.appendCodePoint(character);
                position += Character.charCount(character);
            }
        }
        return replaced.append(text, position, text.length()).toString();
    }

    private static Object find(String text, String name, String part) {
        int found = name.startsWith("r") ? text.lastIndexOf(part) : text.indexOf(part);
        if (found < 0 && name.endsWith("index")) {
            throw new TemplateException("substring not found");
        }
        return found < 0 ? -1L : (long) text.codePointCount(0, found);
    }

    private static Object count(String text, String part) {
        if (part.isEmpty()) {
            return Strings.length(text) + 1L;
        }
        long count = 0;
        for (int i = text.indexOf(part); i >= 0; i = text.indexOf(part, i + part.length())) {
            ++count;
        }
        return count;
    }

    private static boolean all(String text, IntPredicate test) {
        return !text.isEmpty() && text.codePoints().allMatch(test);
    }

    private String pad(String text, String name, Bound bound) {
        int missing = Math.max(0, bound.integer(0, 0) - Strings.length(text));
        budget.text((long) missing + text.length());
        String fill = bound.text(1, "zfill".equals(name) ? "0" : " ").repeat(missing);
        if ("ljust".equals(name)) {
            return text + fill;
        }
        boolean signed = "zfill".equals(name) && (text.startsWith("-") || text.startsWith("+"));
        return signed ? text.charAt(0) + fill + text.substring(1) : fill + text;
    }
}
