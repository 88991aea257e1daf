/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.Operations;
import org.apache.lucene.util.automaton.Transition;

/**
 * The automata of JSON texts, over code points. A value has one spelling here: no white space but a
 * space that may follow a comma or a colon, no escapes but those that a string needs, numbers of at
 * most 15 digits before and after the point and an exponent of at most two. JSON readers need no
 * more, and a model that has more ways to write a value has more ways to never end one.
 */
final class JsonAutomata {

    private static final int MAX_DIGITS = 15;

    /** What stands behind the backslash for the control characters that have a letter. */
    private static final Map<Integer, Integer> ESCAPES =
            Map.of(
                    (int) '"', (int) '"',
                    (int) '\\', (int) '\\',
                    (int) '\b', (int) 'b',
                    (int) '\f', (int) 'f',
                    (int) '\n', (int) 'n',
                    (int) '\r', (int) 'r',
                    (int) '\t', (int) 't');

    private JsonAutomata() {}

    private static Automaton integer() {
        return TextAutomata.sequence(TextAutomata.optional(TextAutomata.text("-")), natural());
    }

    private static Automaton natural() {
        return TextAutomata.either(
                List.of(
                        TextAutomata.text("0"),
                        TextAutomata.sequence(
                                TextAutomata.range('1', '9'), digits(0, MAX_DIGITS - 1))));
    }

    static Automaton number() {
        Automaton fraction = TextAutomata.sequence(TextAutomata.text("."), digits(1, MAX_DIGITS));
        Automaton exponent =
                TextAutomata.sequence(
                        TextAutomata.either(
                                List.of(Automata.makeChar('e'), Automata.makeChar('E'))),
                        TextAutomata.optional(
                                TextAutomata.either(
                                        List.of(Automata.makeChar('+'), Automata.makeChar('-')))),
                        digits(1, 2));
        return TextAutomata.minimize(
                TextAutomata.sequence(
                        integer(),
                        TextAutomata.optional(fraction),
                        TextAutomata.optional(exponent)));
    }

    private static Automaton digits(int min, int max) {
        return TextAutomata.repeat(TextAutomata.range('0', '9'), min, max);
    }

    static Automaton bool() {
        return TextAutomata.either(List.of(TextAutomata.text("true"), TextAutomata.text("false")));
    }

    static Automaton nothing() {
        return TextAutomata.text("null");
    }

    /**
     * Returns the automaton of JSON strings.
     *
     * @param content the automaton of what they say, over code points
     * @return the automaton of how that is written, quotes and escapes too
     */
    static Automaton string(Automaton content) {
        return TextAutomata.sequence(
                TextAutomata.text("\""),
                escaped(TextAutomata.minimize(content)),
                TextAutomata.text("\""));
    }

    static Automaton anyString() {
        return string(TextAutomata.repeat(TextAutomata.anyCharacter(), 0, -1));
    }

    /** Replaces what a JSON string cannot hold as it is. Other control characters are left out. */
    private static Automaton escaped(Automaton content) {
        Automaton.Builder builder = new Automaton.Builder();
        builder.copyStates(content);
        Transition transition = new Transition();
        for (int state = 0; state < content.getNumStates(); ++state) {
            Map<Integer, Integer> escapes = new HashMap<>();
            int count = content.initTransition(state, transition);
            for (int i = 0; i < count; ++i) {
                content.getNextTransition(transition);
                for (Map.Entry<Integer, Integer> escape : ESCAPES.entrySet()) {
                    int c = escape.getKey();
                    if (c >= transition.min && c <= transition.max) {
                        int middle =
                                escapes.computeIfAbsent(
                                        transition.dest, d -> builder.createState());
                        builder.addTransition(middle, transition.dest, escape.getValue());
                    }
                }
                addRaw(builder, state, transition, ' ', '"' - 1);
                addRaw(builder, state, transition, '"' + 1, '\\' - 1);
                addRaw(builder, state, transition, '\\' + 1, Character.MAX_CODE_POINT);
            }
            for (Map.Entry<Integer, Integer> escape : escapes.entrySet()) {
                builder.addTransition(state, escape.getValue(), '\\');
            }
        }
        return builder.finish();
    }

    private static void addRaw(
            Automaton.Builder builder, int state, Transition transition, int first, int last) {
        int min = Math.max(transition.min, first);
        int max = Math.min(transition.max, last);
        if (min <= max) {
            builder.addTransition(state, transition.dest, min, max);
        }
    }

    /**
     * Returns the automaton of one value.
     *
     * @param value the value
     * @return its spellings; an object's members keep their order
     */
    static Automaton literal(JsonElement value) {
        List<Automaton> parts = new ArrayList<>();
        if (value.isJsonObject()) {
            parts.add(TextAutomata.text("{"));
            for (Map.Entry<String, JsonElement> member : value.getAsJsonObject().entrySet()) {
                if (parts.size() > 1) {
                    parts.add(separator(','));
                }
                parts.add(TextAutomata.text(quoted(member.getKey())));
                parts.add(separator(':'));
                parts.add(literal(member.getValue()));
            }
            parts.add(TextAutomata.text("}"));
        } else if (value.isJsonArray()) {
            parts.add(TextAutomata.text("["));
            for (JsonElement element : value.getAsJsonArray()) {
                if (parts.size() > 1) {
                    parts.add(separator(','));
                }
                parts.add(literal(element));
            }
            parts.add(TextAutomata.text("]"));
        } else if (value instanceof JsonPrimitive primitive && primitive.isString()) {
            parts.add(TextAutomata.text(quoted(primitive.getAsString())));
        } else {
            parts.add(TextAutomata.text(value.toString()));
        }
        return TextAutomata.sequence(parts.toArray(new Automaton[0]));
    }

    private static Automaton separator(char mark) {
        return TextAutomata.sequence(
                TextAutomata.text(String.valueOf(mark)),
                TextAutomata.optional(TextAutomata.text(" ")));
    }

    private static String quoted(String text) {
        StringBuilder builder = new StringBuilder(text.length() + 2).append('"');
        for (int i = 0; i < text.length(); ++i) {
            char c = text.charAt(i);
            Integer escape = ESCAPES.get((int) c);
            if (escape != null) {
                builder.append('\\').append((char) escape.intValue());
            } else if (c < ' ') {
                builder.append(String.format("\\u%04x", (int) c));
            } else {
                builder.append(c);
            }
        }
        return builder.append('"').toString();
    }

    /**
     * Returns the automaton of arrays.
     *
     * @param item the automaton of an item
     * @param min the least number of items
     * @param max the greatest number of items; -1 for no limit
     */
    static Automaton array(Automaton item, int min, int max) {
        if (max == 0) {
            return TextAutomata.text("[]");
        }
        Automaton rest =
                TextAutomata.repeat(
                        TextAutomata.sequence(separator(','), item),
                        Math.max(0, min - 1),
                        max < 0 ? -1 : max - 1);
        Automaton items = TextAutomata.sequence(item, rest);
        return TextAutomata.sequence(
                TextAutomata.text("["),
                min == 0 ? TextAutomata.optional(items) : items,
                TextAutomata.text("]"));
    }

    /** Returns the automaton of objects with any names, all of whose values are alike. */
    static Automaton map(Automaton value) {
        return loop('{', '}', TextAutomata.sequence(anyString(), separator(':'), value));
    }

    /**
     * Returns the automaton of any number of items in brackets; it holds the item's states once.
     */
    private static Automaton loop(char open, char close, Automaton item) {
        Automaton.Builder builder = new Automaton.Builder();
        int start = builder.createState();
        int opened = builder.createState();
        int behindItem = builder.createState();
        int behindComma = builder.createState();
        int end = builder.createState();
        builder.setAccept(end, true);
        builder.addTransition(behindItem, end, close);
        builder.addTransition(behindItem, behindComma, ',');
        int first = copyInto(builder, item, behindItem);
        builder.addTransition(behindComma, first, ' ');
        builder.addEpsilon(behindComma, first);
        builder.addEpsilon(opened, first);
        builder.addTransition(opened, end, close);
        builder.addTransition(start, opened, open);
        return TextAutomata.checked(builder.finish());
    }

    /** Copies an automaton whose ends go on as a state does, which must be complete. */
    private static int copyInto(Automaton.Builder builder, Automaton part, int next) {
        int offset = builder.getNumStates();
        builder.copy(part);
        for (int state = offset; state < builder.getNumStates(); ++state) {
            if (builder.isAccept(state)) {
                builder.setAccept(state, false);
                builder.addEpsilon(state, next);
            }
        }
        return offset;
    }

    /**
     * Returns the automaton of any value.
     *
     * @param depth how deep arrays and objects may nest in it
     */
    static Automaton anyValue(int depth) {
        List<Automaton> kinds = new ArrayList<>(List.of(anyString(), number(), bool(), nothing()));
        if (depth > 0) {
            Automaton inner = anyValue(depth - 1);
            kinds.add(loop('[', ']', inner));
            kinds.add(map(inner));
        }
        return TextAutomata.either(kinds);
    }

    /**
     * Returns the automaton of any object.
     *
     * @param depth how deep arrays and objects may nest, itself among them, at least 1
     */
    static Automaton anyObject(int depth) {
        return map(anyValue(depth - 1));
    }

    /**
     * A member of an object: its name, whether it must be there, and the automaton of its value.
     */
    record Member(String name, boolean required, Automaton value) {}

    /** Returns the automaton of objects whose members come in a fixed order. */
    static Automaton object(List<Member> members) {
        Automaton.Builder builder = new Automaton.Builder();
        int start = builder.createState();
        int end = builder.createState();
        builder.setAccept(end, true);
        // From the last member to the first: what may come next with no member before it, and
        // with one.
        int first = builder.createState();
        builder.addTransition(first, end, '}');
        int further = builder.createState();
        builder.addTransition(further, end, '}');
        for (int i = members.size() - 1; i >= 0; --i) {
            Member member = members.get(i);
            Automaton pair =
                    TextAutomata.sequence(
                            TextAutomata.text(quoted(member.name())),
                            separator(':'),
                            TextAutomata.minimize(member.value()));
            int pairStart = copyInto(builder, pair, further);
            int firstHere = builder.createState();
            builder.addEpsilon(firstHere, pairStart);
            int comma = builder.createState();
            builder.addTransition(comma, pairStart, ' ');
            builder.addEpsilon(comma, pairStart);
            int furtherHere = builder.createState();
            builder.addTransition(furtherHere, comma, ',');
            if (!member.required()) {
                builder.addEpsilon(firstHere, first);
                builder.addEpsilon(furtherHere, further);
            }
            first = firstHere;
            further = furtherHere;
        }
        builder.addTransition(start, first, '{');
        return Operations.removeDeadStates(TextAutomata.checked(builder.finish()));
    }

    /** Returns whether two values are the same to a JSON schema, for which 1 and 1.0 are. */
    static boolean same(JsonElement one, JsonElement other) {
        return normal(one).equals(normal(other));
    }

    private static Object normal(JsonElement value) {
        if (value instanceof JsonObject object) {
            Map<String, Object> members = new HashMap<>();
            object.entrySet().forEach(e -> members.put(e.getKey(), normal(e.getValue())));
            return members;
        }
        if (value.isJsonArray()) {
            return value.getAsJsonArray().asList().stream().map(JsonAutomata::normal).toList();
        }
        if (value instanceof JsonPrimitive primitive && primitive.isNumber()) {
            return primitive.getAsBigDecimal().stripTrailingZeros();
        }
        return value;
    }
}
