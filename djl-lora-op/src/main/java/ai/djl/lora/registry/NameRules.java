/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.Map;

/**
 * What the registry takes for a name and for metadata. Names travel through headers, logs, files
 * and command lines, and must come out of them as they went in.
 */
public final class NameRules {

    static final int MAX_NAME = 256;
    static final int MAX_ENTRIES = 64;
    static final int MAX_VALUE = 8_192;

    private NameRules() {}

    /**
     * Checks a name.
     *
     * @param what what it is the name of; begins a message, as in "Adapter name"
     * @param name the name
     * @return the name
     * @throws LoraConfigurationException if it cannot be one
     */
    public static String checkName(String what, String name) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException(what + " must not be blank");
        }
        if (name.length() > MAX_NAME) {
            throw new LoraConfigurationException(
                    what
                            + " "
                            + Message.quote(name)
                            + " has "
                            + name.length()
                            + " characters, allowed are "
                            + MAX_NAME);
        }
        for (int i = 0; i < name.length(); i += Character.charCount(name.codePointAt(i))) {
            int c = name.codePointAt(i);
            if (!isPlain(c)) {
                throw new LoraConfigurationException(
                        String.format(
                                "%s %s has U+%04X at index %d; control characters, line separators"
                                        + " and unpaired surrogates are not allowed",
                                what, Message.quote(name), c, i));
            }
        }
        if (!name.strip().equals(name)) {
            throw new LoraConfigurationException(
                    what
                            + " "
                            + Message.quote(name)
                            + " begins or ends with white space, which is not allowed");
        }
        return name;
    }

    /**
     * Checks what is to be noted of a revision.
     *
     * @param metadata texts by name
     * @return an unmodifiable copy
     * @throws LoraConfigurationException if it cannot be stored
     */
    public static Map<String, String> checkMetadata(Map<String, String> metadata) {
        if (metadata.size() > MAX_ENTRIES) {
            throw new LoraConfigurationException(
                    "The metadata has " + metadata.size() + " entries, allowed are " + MAX_ENTRIES);
        }
        metadata.forEach(
                (key, value) -> {
                    checkName("Metadata key", key);
                    checkValue(key, value);
                });
        return Map.copyOf(metadata);
    }

    private static void checkValue(String key, String value) {
        if (value == null) {
            throw new LoraConfigurationException(
                    "The metadata of " + Message.quote(key) + " is null, expected a string");
        }
        if (value.length() > MAX_VALUE) {
            throw new LoraConfigurationException(
                    "The metadata of "
                            + Message.quote(key)
                            + " has "
                            + value.length()
                            + " characters, allowed are "
                            + MAX_VALUE);
        }
        if (value.codePoints().anyMatch(c -> Character.getType(c) == Character.SURROGATE)) {
            throw new LoraConfigurationException(
                    "The metadata of "
                            + Message.quote(key)
                            + " has an unpaired surrogate, which cannot be stored");
        }
    }

    private static boolean isPlain(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE ->
                    false;
            default -> true;
        };
    }
}
