/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.NearestNames;
import ai.djl.lora.json.Message;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;

/**
 * A mapping of a YAML file. Each key that it may have is asked for once; what is there and wrong
 * becomes a problem with its line, and what was not asked for is unknown.
 */
public final class ConfigSection {

    private static final Pattern TIME = Pattern.compile("(\\d{1,9})(ms|s|m|h|d)");
    private static final Pattern SIZE = Pattern.compile("(\\d{1,15})(KiB|MiB|GiB|TiB)?");

    private final ConfigProblems problems;
    private final Set<String> known;
    private final String path;
    private final Mark mark;
    private final boolean present;
    private final Map<String, NodeTuple> entries = new LinkedHashMap<>();
    private final Set<String> asked = new LinkedHashSet<>();
    private final Set<String> refused = new HashSet<>();

    /**
     * Constructs a new {@code ConfigSection} instance.
     *
     * @param problems where mistakes go
     * @param known where the paths of keys go that are asked for
     * @param path where the section lies, empty for the file itself
     * @param node the mapping, or null where the section is not there
     */
    ConfigSection(ConfigProblems problems, Set<String> known, String path, Node node) {
        this.problems = problems;
        this.known = known;
        this.path = path;
        mark = node == null ? null : node.getStartMark();
        present = node instanceof MappingNode;
        if (node instanceof MappingNode mapping) {
            mapping.getValue().forEach(this::add);
        } else if (node != null && !isEmpty(node)) {
            problems.add(node, named(path) + " must be a mapping, found " + describe(node));
        }
    }

    private static boolean isEmpty(Node node) {
        return node instanceof ScalarNode scalar && scalar.getValue().isEmpty();
    }

    private static String named(String path) {
        return path.isEmpty() ? "the file" : path;
    }

    private void add(NodeTuple entry) {
        if (!(entry.getKeyNode() instanceof ScalarNode)) {
            problems.add(
                    entry.getKeyNode(),
                    "a key in " + named(path) + " is " + describe(entry.getKeyNode()));
            return;
        }
        String key = text(entry.getKeyNode());
        if (entries.putIfAbsent(key, entry) != null) {
            problems.add(entry.getKeyNode(), at(key) + " is given twice");
        }
    }

    private static String text(Node node) {
        return node instanceof ScalarNode scalar ? scalar.getValue() : "";
    }

    private static String describe(Node node) {
        if (node instanceof ScalarNode scalar) {
            return Message.quote(scalar.getValue());
        }
        return node instanceof SequenceNode ? "a list" : "a mapping";
    }

    private String at(String key) {
        return path.isEmpty() ? key : path + '.' + key;
    }

    private Node take(String key) {
        asked.add(key);
        known.add(at(key));
        NodeTuple entry = entries.get(key);
        return entry == null ? null : entry.getValueNode();
    }

    /**
     * Returns a section within this one; an empty one where it is not there.
     *
     * @param key its key
     * @return the section
     */
    public ConfigSection section(String key) {
        Node node = take(key);
        known.remove(at(key));
        return new ConfigSection(problems, known, at(key), node);
    }

    /**
     * Returns the sections of a list.
     *
     * @param key its key
     * @return the sections, none where there is no list
     */
    public List<ConfigSection> sections(String key) {
        Node node = take(key);
        List<ConfigSection> sections = new ArrayList<>();
        if (node instanceof SequenceNode list) {
            for (Node each : list.getValue()) {
                String name = at(key) + '[' + list.getValue().indexOf(each) + ']';
                if (each instanceof MappingNode) {
                    sections.add(new ConfigSection(problems, new LinkedHashSet<>(), name, each));
                } else {
                    problems.add(each, name + " must be a mapping, found " + describe(each));
                }
            }
        } else if (node != null && !isEmpty(node)) {
            problems.add(node, at(key) + " must be a list, found " + describe(node));
        }
        return sections;
    }

    /**
     * Reads a section within this one, and names what is there and was not asked for.
     *
     * @param key its key
     * @param reader asks for its keys
     */
    public void section(String key, Consumer<ConfigSection> reader) {
        ConfigSection section = section(key);
        reader.accept(section);
        section.end();
    }

    /**
     * Reads the sections of a list.
     *
     * @param key its key
     * @param reader asks for the keys of one; called once for nothing where keys are collected
     */
    public void items(String key, Consumer<ConfigSection> reader) {
        sections(key).forEach(reader);
        known.remove(at(key));
        Set<String> keys = new LinkedHashSet<>();
        reader.accept(new ConfigSection(new ConfigProblems(""), keys, at(key) + "[]", null));
        known.addAll(keys);
    }

    /**
     * Returns whether the file has something at a key.
     *
     * @param key the key
     * @return whether it has
     */
    public boolean has(String key) {
        return entries.containsKey(key);
    }

    /**
     * Takes texts by name.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void texts(String key, Consumer<Map<String, String>> set) {
        Node node = take(key);
        if (node == null) {
            return;
        }
        ConfigSection texts = new ConfigSection(problems, new LinkedHashSet<>(), at(key), node);
        Map<String, String> values = new LinkedHashMap<>();
        List.copyOf(texts.entries.keySet())
                .forEach(name -> texts.scalar(name, "a text", text -> values.put(name, text)));
        try {
            set.accept(values);
        } catch (LoraConfigurationException e) {
            problems.add(node, at(key) + ": " + e.getMessage());
        }
    }

    /**
     * Takes a list of texts.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void list(String key, Consumer<List<String>> set) {
        Node node = take(key);
        if (node == null) {
            return;
        }
        List<String> values = new ArrayList<>();
        if (node instanceof SequenceNode list) {
            for (Node each : list.getValue()) {
                if (each instanceof ScalarNode) {
                    values.add(text(each));
                } else {
                    problems.add(each, at(key) + " must have texts, found " + describe(each));
                    return;
                }
            }
        } else {
            problems.add(node, at(key) + " must be a list, found " + describe(node));
            return;
        }
        try {
            set.accept(values);
        } catch (LoraConfigurationException e) {
            problems.add(node, at(key) + ": " + e.getMessage());
        }
    }

    /**
     * Returns whether the file has a mapping at a key, and not a text.
     *
     * @param key the key
     * @return whether it has
     */
    public boolean isSection(String key) {
        NodeTuple entry = entries.get(key);
        return entry != null && entry.getValueNode() instanceof MappingNode;
    }

    private void scalar(String key, String allowed, Consumer<String> set) {
        Node node = take(key);
        if (node == null) {
            return;
        }
        if (!(node instanceof ScalarNode)) {
            refused.add(key);
            problems.add(node, at(key) + " must be " + allowed + ", found " + describe(node));
            return;
        }
        try {
            set.accept(text(node));
        } catch (LoraConfigurationException e) {
            refused.add(key);
            problems.add(node, at(key) + ": " + e.getMessage());
        } catch (IllegalArgumentException e) {
            refused.add(key);
            problems.add(node, at(key) + " is " + describe(node) + "; allowed is " + allowed);
        }
    }

    /**
     * Takes a text.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void text(String key, Consumer<String> set) {
        scalar(
                key,
                "a text",
                text -> {
                    require(!text.isBlank());
                    set.accept(text);
                });
    }

    /**
     * Takes a text that may be empty, in quotes.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void anyText(String key, Consumer<String> set) {
        NodeTuple entry = entries.get(key);
        boolean nothing = entry != null && Tag.NULL.equals(entry.getValueNode().getTag());
        scalar(
                key,
                "a text, \"\" for an empty one",
                text -> {
                    require(!nothing);
                    set.accept(text);
                });
    }

    /**
     * Takes one of several words.
     *
     * @param key its key
     * @param words the words
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void choice(String key, Collection<String> words, Consumer<String> set) {
        scalar(
                key,
                "one of " + String.join(", ", words),
                text -> {
                    require(words.contains(text));
                    set.accept(text);
                });
    }

    /**
     * Takes true or false.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void flag(String key, Consumer<Boolean> set) {
        scalar(
                key,
                "true or false",
                text -> {
                    require("true".equals(text) || "false".equals(text));
                    set.accept(Boolean.valueOf(text));
                });
    }

    /**
     * Takes a whole number.
     *
     * @param key its key
     * @param least the least that is allowed
     * @param most the most that is allowed
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void integer(String key, int least, int most, IntConsumer set) {
        scalar(
                key,
                "a whole number from " + least + " to " + most,
                text -> {
                    int value = Integer.parseInt(text);
                    require(value >= least && value <= most);
                    set.accept(value);
                });
    }

    /**
     * Takes a number.
     *
     * @param key its key
     * @param least the least that is allowed
     * @param most the most that is allowed
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void number(String key, double least, double most, DoubleConsumer set) {
        scalar(
                key,
                "a number from " + least + " to " + most,
                text -> {
                    double value = Double.parseDouble(text);
                    require(value >= least && value <= most);
                    set.accept(value);
                });
    }

    /**
     * Takes a share of something, above 0 and at most 1.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void share(String key, DoubleConsumer set) {
        scalar(
                key,
                "a number above 0.0 and at most 1.0",
                text -> {
                    double value = Double.parseDouble(text);
                    require(value > 0 && value <= 1);
                    set.accept(value);
                });
    }

    /**
     * Takes a size in bytes; {@code auto} leaves it open.
     *
     * @param key its key
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void size(String key, LongConsumer set) {
        scalar(
                key,
                "a size such as 512MiB or 2GiB (KiB, MiB, GiB, TiB), above 0, or auto",
                text -> {
                    if (!"auto".equals(text)) {
                        Matcher matcher = SIZE.matcher(text);
                        require(matcher.matches());
                        long value = Long.parseLong(matcher.group(1));
                        long unit = unit(matcher.group(2));
                        require(value > 0 && value <= Long.MAX_VALUE / unit);
                        set.accept(value * unit);
                    }
                });
    }

    private static long unit(String name) {
        if (name == null) {
            return 1;
        }
        return 1L << 10 * (1 + "KMGT".indexOf(name.charAt(0)));
    }

    /**
     * Takes a time.
     *
     * @param key its key
     * @param least the shortest that is allowed
     * @param most the longest that is allowed
     * @param set takes the value, where there is one; what it throws becomes a problem
     */
    public void time(String key, Duration least, Duration most, Consumer<Duration> set) {
        scalar(
                key,
                "a time such as 200ms, 30s, 5m, 2h or 1d, from "
                        + words(least)
                        + " to "
                        + words(most),
                text -> {
                    Matcher matcher = TIME.matcher(text);
                    require(matcher.matches());
                    long value = Long.parseLong(matcher.group(1));
                    Duration time =
                            switch (matcher.group(2)) {
                                case "ms" -> Duration.ofMillis(value);
                                case "s" -> Duration.ofSeconds(value);
                                case "m" -> Duration.ofMinutes(value);
                                case "h" -> Duration.ofHours(value);
                                default -> Duration.ofDays(value);
                            };
                    require(time.compareTo(least) >= 0 && time.compareTo(most) <= 0);
                    set.accept(time);
                });
    }

    /** Returns a value as a file would have it. */
    private static String words(Object value) {
        if (!(value instanceof Duration time)) {
            return value.toString();
        }
        if (time.toMillisPart() != 0) {
            return time.toMillis() + "ms";
        }
        if (time.toSecondsPart() != 0 || time.isZero()) {
            return time.toSeconds() + "s";
        }
        if (time.toMinutesPart() != 0) {
            return time.toMinutes() + "m";
        }
        return time.toHoursPart() != 0 ? time.toHours() + "h" : time.toDays() + "d";
    }

    /* What is thrown is put into words where the key and what is allowed are known. */
    private static void require(boolean allowed) {
        if (!allowed) {
            throw new IllegalArgumentException();
        }
    }

    /**
     * Adds a mistake at a key, or where the section begins if it has no such key.
     *
     * @param key its key
     * @param text what is wrong
     */
    public void problem(String key, String text) {
        NodeTuple entry = entries.get(key);
        problems.add(entry == null ? mark : entry.getKeyNode().getStartMark(), text);
    }

    /**
     * Refuses a key that was taken, for a reason that lies beside its own value.
     *
     * @param key its key
     * @param holds whether it is right
     * @param text what is wrong, after the key's name
     */
    public void checkThat(String key, boolean holds, String text) {
        if (!holds) {
            problem(key, at(key) + ' ' + text);
        }
    }

    /**
     * Returns whether the file has this section.
     *
     * @return whether it has
     */
    public boolean isPresent() {
        return present;
    }

    /**
     * Refuses a section that is there without a key.
     *
     * @param key its key
     */
    public void require(String key) {
        if (present && !entries.containsKey(key)) {
            problem(key, at(key) + " is missing");
        }
    }

    /**
     * Refuses a key that says nothing without another one.
     *
     * @param key its key
     * @param other the other one's key
     */
    public void needs(String key, String other) {
        if (entries.containsKey(key) && !entries.containsKey(other)) {
            problem(key, at(key) + " needs " + at(other));
        }
    }

    /** Refuses a value that is not below another one, where neither is wrong by itself. */
    <T extends Comparable<T>> boolean below(String low, T lowValue, String high, T highValue) {
        boolean holds = lowValue.compareTo(highValue) < 0;
        return checkOrder(low, lowValue, high, highValue, holds, "below");
    }

    /** Refuses a value that is above another one, where neither is wrong by itself. */
    <T extends Comparable<T>> boolean atMost(String low, T lowValue, String high, T highValue) {
        boolean holds = lowValue.compareTo(highValue) <= 0;
        return checkOrder(low, lowValue, high, highValue, holds, "at most");
    }

    private boolean checkOrder(
            String low,
            Object lowValue,
            String high,
            Object highValue,
            boolean holds,
            String rule) {
        if (!holds && !refused.contains(low) && !refused.contains(high)) {
            // one of the two is a default where the file has only the other
            String where = entries.containsKey(low) ? low : high;
            problem(
                    where,
                    at(low)
                            + " is "
                            + words(lowValue)
                            + "; it must be "
                            + rule
                            + ' '
                            + at(high)
                            + ", which is "
                            + words(highValue));
        }
        return holds;
    }

    /** Names what is here and was not asked for. */
    public void end() {
        entries.forEach(
                (key, entry) -> {
                    if (!asked.contains(key)) {
                        problems.add(entry.getKeyNode(), unknown(key));
                    }
                });
    }

    private String unknown(String key) {
        List<String> nearest = NearestNames.of(key, asked);
        return "unknown key "
                + Message.quote(at(key))
                + (nearest.isEmpty()
                        ? "; allowed in " + named(path) + " are " + String.join(", ", asked)
                        : "; nearest are " + String.join(", ", nearest));
    }
}
