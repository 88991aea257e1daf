/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * A schema made at random, and a check of its own that knows nothing of automata.
 *
 * @param json the schema
 * @param check says whether a value is valid
 */
record RandomSchema(String json, Predicate<JsonElement> check) {

    /** Makes an object's schema whose values are at most some 100 characters long. */
    static RandomSchema object(SplittableRandom random, int depth) {
        List<String> names =
                new ArrayList<>(List.of("a", "b c", "d\\\"e").subList(0, 1 + random.nextInt(3)));
        List<String> properties = new ArrayList<>();
        List<Predicate<JsonElement>> checks = new ArrayList<>();
        Set<String> required = new TreeSet<>();
        for (String name : names) {
            RandomSchema value = value(random, depth - 1);
            properties.add("\"" + name + "\": " + value.json);
            checks.add(value.check);
            if (random.nextBoolean()) {
                required.add(name);
            }
        }
        String json =
                "{\"type\": \"object\", \"properties\": {"
                        + String.join(", ", properties)
                        + "}, \"required\": ["
                        + String.join(", ", required.stream().map(n -> "\"" + n + "\"").toList())
                        + "], \"additionalProperties\": false}";
        return new RandomSchema(
                json,
                value -> {
                    if (!value.isJsonObject()) {
                        return false;
                    }
                    int known = 0;
                    for (int i = 0; i < names.size(); ++i) {
                        JsonElement member =
                                value.getAsJsonObject().get(names.get(i).replace("\\", ""));
                        if (member == null
                                ? required.contains(names.get(i))
                                : !checks.get(i).test(member)) {
                            return false;
                        }
                        known += member == null ? 0 : 1;
                    }
                    return known == value.getAsJsonObject().size();
                });
    }

    private static RandomSchema value(SplittableRandom random, int depth) {
        return switch (random.nextInt(depth > 0 ? 8 : 6)) {
            case 0 -> {
                int least = random.nextInt(3);
                int most = least + random.nextInt(5);
                yield new RandomSchema(
                        "{\"type\": \"string\", \"minLength\": "
                                + least
                                + ", \"maxLength\": "
                                + most
                                + "}",
                        value -> isText(value) && length(value) >= least && length(value) <= most);
            }
            case 1 -> {
                int least = random.nextInt(-300, 300);
                int most = least + random.nextInt(500);
                yield new RandomSchema(
                        "{\"type\": \"integer\", \"minimum\": "
                                + least
                                + ", \"maximum\": "
                                + most
                                + "}",
                        value ->
                                isNumber(value)
                                        && value.getAsBigDecimal().intValueExact() >= least
                                        && value.getAsInt() <= most);
            }
            case 2 ->
                    new RandomSchema(
                            "{\"type\": [\"boolean\", \"null\"]}",
                            value ->
                                    value.isJsonNull()
                                            || value.isJsonPrimitive()
                                                    && value.getAsJsonPrimitive().isBoolean());
            case 3 ->
                    new RandomSchema(
                            "{\"enum\": [\"x y\", 3, null, [1]]}",
                            value ->
                                    Set.of("\"x y\"", "3", "null", "[1]")
                                            .contains(value.toString()));
            case 4 ->
                    new RandomSchema(
                            "{\"type\": \"string\", \"pattern\": \"^[a-c]{2,4}-?$\"}",
                            value -> isText(value) && value.getAsString().matches("[a-c]{2,4}-?"));
            case 5 -> new RandomSchema("{\"type\": \"number\"}", RandomSchema::isNumber);
            case 6 -> {
                RandomSchema item = value(random, depth - 1);
                int least = random.nextInt(2);
                int most = least + random.nextInt(3);
                yield new RandomSchema(
                        "{\"type\": \"array\", \"items\": "
                                + item.json
                                + ", \"minItems\": "
                                + least
                                + ", \"maxItems\": "
                                + most
                                + "}",
                        value ->
                                value.isJsonArray()
                                        && value.getAsJsonArray().size() >= least
                                        && value.getAsJsonArray().size() <= most
                                        && value.getAsJsonArray().asList().stream()
                                                .allMatch(item.check));
            }
            default -> object(random, depth - 1);
        };
    }

    private static boolean isText(JsonElement value) {
        return value instanceof JsonPrimitive primitive && primitive.isString();
    }

    private static boolean isNumber(JsonElement value) {
        return value instanceof JsonPrimitive primitive && primitive.isNumber();
    }

    private static int length(JsonElement value) {
        String text = value.getAsString();
        return text.codePointCount(0, text.length());
    }
}
