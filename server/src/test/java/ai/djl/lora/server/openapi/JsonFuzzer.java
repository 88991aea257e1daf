/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openapi;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Makes JSON by a schema of an OpenAPI document: most of it as the schema wants it, some of it
 * wrong in one place or in many.
 */
final class JsonFuzzer {

    private static final int DEPTH = 8;
    private static final String[] TEXTS = {
        "",
        "a",
        "upper",
        "demo",
        "reverse",
        "hello=",
        "\u0000",
        "\ud83d\ude00",
        "\u202e",
        "../..",
        "'\"<>",
        "null",
        "NaN",
        "1e999",
        " ",
        "-1",
        "file:///etc/passwd",
        "x".repeat(5000)
    };
    private static final BigDecimal[] NUMBERS = {
        BigDecimal.ZERO,
        BigDecimal.ONE,
        BigDecimal.ONE.negate(),
        new BigDecimal("0.5"),
        new BigDecimal("1e-30"),
        new BigDecimal("2147483647"),
        new BigDecimal("-2147483649"),
        new BigDecimal("9223372036854775808"),
        new BigDecimal("1e400")
    };

    private final JsonObject document;
    private final SplittableRandom random;

    /** The share of values that are not as the schema wants them. */
    private double wrong;

    /** The share of fields that are given though they need not be. */
    private double given;

    /**
     * Constructs a new {@code JsonFuzzer} instance.
     *
     * @param document the whole document, for references
     * @param random what chooses
     */
    JsonFuzzer(JsonObject document, SplittableRandom random) {
        this.document = document;
        this.random = random;
    }

    /** Makes a value; how wrong it is is drawn as well. */
    JsonElement value(JsonObject schema) {
        double[] shares = {0, 0, 0.02, 0.1, 0.5};
        wrong = shares[random.nextInt(shares.length)];
        // many fields together seldom make sense
        given = new double[] {0.02, 0.06, 0.2}[random.nextInt(3)];
        return value(schema, 0);
    }

    /** Makes text for a parameter. */
    String text(JsonObject schema) {
        JsonElement value = value(schema);
        return value.isJsonPrimitive() ? value.getAsString() : value.toString();
    }

    private JsonElement value(JsonObject any, int depth) {
        JsonObject schema = resolve(any);
        if (random.nextDouble() < wrong || depth > DEPTH) {
            return anything(depth);
        }
        for (String choice : new String[] {"oneOf", "anyOf"}) {
            if (schema.has(choice)) {
                JsonArray schemas = schema.getAsJsonArray(choice);
                return value(pick(schemas).getAsJsonObject(), depth + 1);
            }
        }
        if (schema.has("const")) {
            return schema.get("const");
        }
        if (schema.has("enum")) {
            return pick(schema.getAsJsonArray("enum"));
        }
        if (schema.has("examples") && random.nextInt(3) > 0) {
            return pick(schema.getAsJsonArray("examples"));
        }
        return ofType(schema, type(schema), depth);
    }

    private JsonElement ofType(JsonObject schema, String type, int depth) {
        return switch (type) {
            case "object" -> object(schema, depth);
            case "array" -> array(schema, depth);
            case "string" -> new JsonPrimitive(TEXTS[random.nextInt(6)]);
            case "boolean" -> new JsonPrimitive(random.nextBoolean());
            case "integer" -> new JsonPrimitive(random.nextLong(low(schema), high(schema) + 1));
            case "number" ->
                    new JsonPrimitive(
                            low(schema) + random.nextDouble() * (high(schema) - low(schema)));
            case "null" -> JsonNull.INSTANCE;
            default -> anything(depth);
        };
    }

    private String type(JsonObject schema) {
        JsonElement type = schema.get("type");
        if (type == null) {
            return schema.has("properties") ? "object" : "any";
        }
        return type.isJsonArray() ? pick(type.getAsJsonArray()).getAsString() : type.getAsString();
    }

    private static long low(JsonObject schema) {
        return schema.has("minimum") ? schema.get("minimum").getAsLong() : 0;
    }

    private static long high(JsonObject schema) {
        long most = schema.has("maximum") ? schema.get("maximum").getAsLong() : low(schema) + 16;
        // a valid request for a thousand tokens is no find, and slow
        return Math.min(most, low(schema) + 16);
    }

    private JsonObject object(JsonObject schema, int depth) {
        JsonObject object = new JsonObject();
        JsonObject properties = schema.getAsJsonObject("properties");
        List<String> required = new ArrayList<>();
        if (schema.has("required")) {
            schema.getAsJsonArray("required").forEach(name -> required.add(name.getAsString()));
        }
        if (properties != null) {
            for (Map.Entry<String, JsonElement> entry : properties.entrySet()) {
                boolean needed = required.contains(entry.getKey());
                if (needed ? random.nextDouble() >= wrong : random.nextDouble() < given) {
                    object.add(
                            entry.getKey(), value(entry.getValue().getAsJsonObject(), depth + 1));
                }
            }
        }
        if (random.nextDouble() < wrong) {
            object.add(TEXTS[random.nextInt(TEXTS.length)], anything(depth + 1));
        }
        return object;
    }

    private JsonArray array(JsonObject schema, int depth) {
        JsonArray array = new JsonArray();
        int length = 1 + random.nextInt(2);
        if (random.nextDouble() < wrong) {
            length = random.nextInt(4) == 0 ? 2000 : 0;
        }
        JsonObject items = schema.has("items") ? schema.getAsJsonObject("items") : new JsonObject();
        for (int i = 0; i < length; ++i) {
            array.add(value(items, depth + 1));
        }
        return array;
    }

    private JsonElement anything(int depth) {
        return switch (random.nextInt(depth > DEPTH ? 4 : 7)) {
            case 0 -> JsonNull.INSTANCE;
            case 1 -> new JsonPrimitive(random.nextBoolean());
            case 2 -> new JsonPrimitive(NUMBERS[random.nextInt(NUMBERS.length)]);
            case 3 -> new JsonPrimitive(TEXTS[random.nextInt(TEXTS.length)]);
            case 4 -> nested(random.nextInt(4) == 0 ? 600 : 2);
            case 5 -> {
                JsonArray array = new JsonArray();
                array.add(anything(depth + 2));
                yield array;
            }
            default -> {
                JsonObject object = new JsonObject();
                object.add(TEXTS[random.nextInt(TEXTS.length)], anything(depth + 2));
                yield object;
            }
        };
    }

    private static JsonElement nested(int depth) {
        JsonElement value = new JsonArray();
        for (int i = 0; i < depth; ++i) {
            JsonArray outer = new JsonArray();
            outer.add(value);
            value = outer;
        }
        return value;
    }

    private JsonElement pick(JsonArray values) {
        return values.get(random.nextInt(values.size()));
    }

    /** Follows a reference within the document. */
    JsonObject resolve(JsonObject schema) {
        JsonObject resolved = schema;
        while (resolved.has("$ref")) {
            JsonElement target = document;
            for (String part : resolved.get("$ref").getAsString().substring(2).split("/")) {
                target = target.getAsJsonObject().get(part);
            }
            resolved = target.getAsJsonObject();
        }
        return resolved;
    }
}
