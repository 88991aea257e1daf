/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;

/**
 * An object of a workflow's {@code configs}, as the server reads them from JSON or YAML. What is
 * wrong is refused with its place, so that the workflow does not load.
 *
 * @param place where it is
 * @param values what it has
 */
record ConfigObject(String place, Map<String, Object> values) {

    /**
     * Reads a value that must be an object.
     *
     * @param place where it is
     * @param value the value
     * @return the object
     */
    static ConfigObject of(String place, Object value) {
        if (!(value instanceof Map<?, ?> map)) {
            throw new IllegalArgumentException(place + " is " + value + "; an object is needed");
        }
        Map<String, Object> values = new HashMap<>();
        map.forEach((key, each) -> values.put(String.valueOf(key), each));
        return new ConfigObject(place, values);
    }

    void refuseUnknown(String... known) {
        Set<String> unknown = new TreeSet<>(values.keySet());
        Set<String> allowed = new TreeSet<>(List.of(known));
        unknown.removeAll(allowed);
        if (!unknown.isEmpty()) {
            throw new IllegalArgumentException(
                    place + " has the unknown fields " + unknown + "; known are " + allowed);
        }
    }

    String text(String key) {
        return optionalText(key)
                .orElseThrow(() -> new IllegalArgumentException(place + "." + key + " is missing"));
    }

    Optional<String> optionalText(String key) {
        Object value = values.get(key);
        if (value != null && !(value instanceof String)) {
            throw new IllegalArgumentException(
                    place + "." + key + " is " + value + "; a text is needed");
        }
        return Optional.ofNullable((String) value);
    }

    OptionalDouble share(String key) {
        Object value = values.get(key);
        if (value == null) {
            return OptionalDouble.empty();
        }
        if (value instanceof Number number
                && number.doubleValue() >= 0
                && number.doubleValue() <= 100) {
            return OptionalDouble.of(number.doubleValue());
        }
        throw new IllegalArgumentException(
                place + "." + key + " is " + value + "; a number from 0 to 100 is needed");
    }

    List<ConfigObject> objects(String key) {
        List<ConfigObject> objects = new ArrayList<>();
        for (Object each : list(key)) {
            objects.add(of(place + "." + key + "[" + objects.size() + "]", each));
        }
        return objects;
    }

    private List<?> list(String key) {
        Object value = values.get(key);
        if (value == null) {
            return List.of();
        }
        if (value instanceof List<?> list) {
            return list;
        }
        throw new IllegalArgumentException(
                place + "." + key + " is " + value + "; a list is needed");
    }

    List<String> textList(String key) {
        List<String> texts = new ArrayList<>();
        for (Object each : list(key)) {
            if (!(each instanceof String text)) {
                throw new IllegalArgumentException(
                        place + "." + key + " has " + each + " in it; a text is needed");
            }
            texts.add(text);
        }
        return texts;
    }

    /** Returns the texts of an object; booleans and numbers as texts. */
    Map<String, String> texts(String key) {
        Map<String, String> texts = new HashMap<>();
        if (values.containsKey(key)) {
            of(place + "." + key, values.get(key))
                    .values()
                    .forEach((name, value) -> texts.put(name, String.valueOf(value)));
        }
        return texts;
    }
}
