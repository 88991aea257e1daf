/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Tuple;
import ai.djl.lora.translate.jinja.Values.Undefined;
import java.util.List;

/** What a template knows of the loop it is in. */
final class Loop {

    private static final List<String> NAMES =
            List.of(
                    "index",
                    "index0",
                    "revindex",
                    "revindex0",
                    "first",
                    "last",
                    "length",
                    "previtem",
                    "nextitem",
                    "depth",
                    "depth0",
                    "cycle",
                    "changed");

    private final List<?> items;
    private final int depth;
    private int index;
    private Object lastSeen;

    /**
     * Constructs a new {@code Loop} instance.
     *
     * @param items what it goes through
     * @param depth how many loops it is in
     */
    Loop(List<?> items, int depth) {
        this.items = items;
        this.depth = depth;
    }

    void moveTo(int position) {
        index = position;
    }

    boolean has(String name) {
        return NAMES.contains(name);
    }

    Object get(String name) {
        return switch (name) {
            case "index" -> index + 1L;
            case "index0" -> (long) index;
            case "revindex" -> (long) items.size() - index;
            case "revindex0" -> items.size() - index - 1L;
            case "first" -> index == 0;
            case "last" -> index == items.size() - 1;
            case "length" -> (long) items.size();
            case "previtem" -> neighbour(index - 1, "there is no previous item");
            case "nextitem" -> neighbour(index + 1, "there is no next item");
            case "depth" -> depth + 1L;
            case "depth0" -> (long) depth;
            case "cycle" -> (Callable) this::cycle;
            default -> (Callable) this::changed;
        };
    }

    private Object neighbour(int position, String reason) {
        return position >= 0 && position < items.size()
                ? items.get(position)
                : new Undefined(reason);
    }

    private Object cycle(Arguments arguments) {
        List<Object> values = arguments.positional();
        if (values.isEmpty()) {
            throw new TemplateException("no items for cycling given");
        }
        return values.get(index % values.size());
    }

    private Object changed(Arguments arguments) {
        Object seen = new Tuple(arguments.positional());
        boolean changed = lastSeen == null || !Values.equal(seen, lastSeen);
        lastSeen = seen;
        return changed;
    }
}
