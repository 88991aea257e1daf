/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Namespace;
import ai.djl.lora.translate.jinja.Values.Tuple;
import ai.djl.lora.translate.jinja.Values.Undefined;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Looks into values: attributes, items, slices, and the sequence that a loop goes through. */
final class Access {

    private final Budget budget;
    private final Methods methods;

    /**
     * Constructs a new {@code Access} instance.
     *
     * @param budget what pays for lists and texts that are made
     */
    Access(Budget budget) {
        this.budget = budget;
        this.methods = new Methods(budget, this);
    }

    /** Returns {@code of.name}: a method or field, or else the item of that name. */
    Object attribute(Object of, String name) {
        if (of instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (of instanceof Namespace namespace && namespace.fields().containsKey(name)) {
            return namespace.fields().get(name);
        }
        if (of instanceof Loop loop && loop.has(name)) {
            return loop.get(name);
        }
        Callable method = methods.find(of, name);
        if (method != null) {
            return method;
        }
        if (of instanceof Map<?, ?> map && map.containsKey(name)) {
            return map.get(name);
        }
        return missing(of, name);
    }

    /** Returns {@code of[key]}: an item, or else the attribute of that name. */
    Object item(Object of, Object key) {
        if (of instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (of instanceof Map<?, ?> map) {
            if (map.containsKey(key)) {
                return map.get(key);
            }
        } else if (Numbers.isInteger(key)) {
            List<?> items = of instanceof String text ? characters(text) : sequence(of);
            if (items != null) {
                long index = Numbers.toInteger(key).longValue();
                long position = index < 0 ? index + items.size() : index;
                return position >= 0 && position < items.size()
                        ? items.get((int) position)
                        : new Undefined(Values.type(of) + " object has no element " + index);
            }
        }
        if (key instanceof String name) {
            return of instanceof Map ? orMethod(of, name) : attribute(of, name);
        }
        return missing(of, Values.text(key));
    }

    private Object orMethod(Object of, String name) {
        Callable method = methods.find(of, name);
        return method == null ? missing(of, name) : method;
    }

    private static Undefined missing(Object of, String name) {
        return new Undefined("'" + Values.type(of) + " object' has no attribute '" + name + "'");
    }

    /** Returns {@code of[from:to:step]} with null for what is left out. */
    Object slice(Object of, Object from, Object to, Object step) {
        List<?> items = of instanceof String text ? characters(text) : sequence(of);
        if (of instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (items == null) {
            throw new TemplateException("a " + Values.type(of) + " cannot be sliced");
        }
        long by = step == null ? 1 : bound(step);
        if (by == 0) {
            throw new TemplateException("slice step cannot be zero");
        }
        long size = items.size();
        long first = by > 0 ? 0 : -1;
        long last = by > 0 ? size : size - 1;
        long start = from == null ? by > 0 ? first : last : clamp(bound(from), size, first, last);
        long end = to == null ? by > 0 ? last : first : clamp(bound(to), size, first, last);
        List<Object> chosen = new ArrayList<>();
        for (long i = start; by > 0 ? i < end : i > end; i += by) {
            chosen.add(items.get((int) i));
        }
        budget.spend(chosen.size());
        if (of instanceof String) {
            StringBuilder text = new StringBuilder();
            chosen.forEach(text::append);
            return text.toString();
        }
        return of instanceof Tuple ? new Tuple(chosen) : chosen;
    }

    private static long clamp(long index, long size, long first, long last) {
        long position = index < 0 ? index + size : index;
        return Math.max(first, Math.min(last, position));
    }

    private static long bound(Object value) {
        if (value instanceof Long number && number.intValue() == number) {
            return number;
        }
        throw new TemplateException(
                "slice indices must be whole numbers, not " + Values.type(value));
    }

    /** Returns the items that a loop goes through; those of a text are its characters. */
    List<?> iterate(Object value) {
        List<?> items = sequence(value);
        if (items != null) {
            return items;
        }
        if (value instanceof String text) {
            return characters(text);
        }
        if (value instanceof Map<?, ?> map) {
            budget.spend(map.size());
            return new ArrayList<>(map.keySet());
        }
        if (value instanceof Undefined) {
            return List.of();
        }
        throw new TemplateException("'" + Values.type(value) + "' object is not iterable");
    }

    /** Returns how many items or characters a value has. */
    long length(Object value) {
        if (value instanceof String text) {
            return Strings.length(text);
        }
        if (value == null || value instanceof Boolean || value instanceof Number) {
            throw new TemplateException("object of type '" + Values.type(value) + "' has no len()");
        }
        return value instanceof Map<?, ?> map ? map.size() : iterate(value).size();
    }

    /** Tells whether a value is in a text, list or dictionary. */
    boolean contains(Object container, Object value) {
        if (container instanceof String text) {
            if (value instanceof String part) {
                budget.spend(text.length());
                return text.contains(part);
            }
            throw new TemplateException(
                    "'in <string>' requires string as left operand, not " + Values.type(value));
        }
        if (container instanceof Map<?, ?> map) {
            return map.containsKey(value);
        }
        List<?> items = iterate(container);
        budget.spend(items.size());
        for (Object item : items) {
            if (Values.equal(item, value)) {
                return true;
            }
        }
        return false;
    }

    private static List<?> sequence(Object value) {
        if (value instanceof Tuple tuple) {
            return tuple.items();
        }
        return value instanceof List<?> list ? list : null;
    }

    private List<String> characters(String text) {
        budget.spend(text.length());
        return text.codePoints().mapToObj(Character::toString).toList();
    }
}
