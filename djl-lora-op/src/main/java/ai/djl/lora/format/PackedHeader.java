/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.SafetensorsType;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** The header of a {@link PackedFile}, checked: tensors lie in their order and do not overlap. */
final class PackedHeader {

    private static final Set<String> FIELDS =
            Set.of("revision", "config", "modules", "block_bytes", "tensors");
    private static final Set<String> TENSOR_FIELDS =
            Set.of("name", "dtype", "shape", "offset", "bytes", "crc32c");
    private static final int MAX_DIMENSIONS = 64;

    private final DataChannel file;
    private final String revision;
    private final JsonObject config;
    private final long blockBytes;
    private final Map<String, Entry> tensors = new LinkedHashMap<>();

    /**
     * Reads a header.
     *
     * @param file the file, for messages
     * @param json the header
     */
    PackedHeader(DataChannel file, JsonObject json) {
        this.file = file;
        checkFields(json, FIELDS, "the header");
        revision = text(json, "revision");
        if (!revision.matches("[0-9a-f]{64}")) {
            throw file.fail(
                    "revision must be 64 hexadecimal digits, found " + Message.quote(revision));
        }
        if (!(json.get("config") instanceof JsonObject object)) {
            throw file.fail("config must be an object");
        }
        config = object;
        array(json, "modules");
        blockBytes = whole(json, "block_bytes");
        long end = 0;
        for (JsonElement element : array(json, "tensors")) {
            if (!(element instanceof JsonObject tensor)) {
                throw file.fail("each of tensors must be an object");
            }
            end = add(tensor, end);
        }
        if (end != blockBytes) {
            throw file.fail(
                    "the tensors end at byte "
                            + end
                            + " of the block, but block_bytes is "
                            + blockBytes);
        }
    }

    /** Returns the stated revision. */
    String revision() {
        return revision;
    }

    /** Returns the adapter's configuration. */
    JsonObject config() {
        return config;
    }

    /** Returns the size of the block. */
    long blockBytes() {
        return blockBytes;
    }

    /** Returns the tensors by name, in the block's order. */
    Map<String, Entry> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** Adds a tensor and returns where it ends in the block. */
    private long add(JsonObject json, long end) {
        checkFields(json, TENSOR_FIELDS, "a tensor's entry");
        String name = text(json, "name");
        String where = "tensor " + Message.quote(name);
        String typeName = text(json, "dtype");
        SafetensorsType type =
                SafetensorsType.ofName(typeName)
                        .orElseThrow(
                                () ->
                                        file.fail(
                                                where
                                                        + " has the unknown type "
                                                        + Message.quote(typeName)));
        JsonArray dimensions = array(json, "shape");
        if (dimensions.size() > MAX_DIMENSIONS) {
            throw file.fail(where + " has " + dimensions.size() + " dimensions");
        }
        long[] shape = new long[dimensions.size()];
        long size = type.bytes();
        try {
            for (int i = 0; i < shape.length; ++i) {
                shape[i] = whole(dimensions.get(i), "a dimension of " + where);
                size = Math.multiplyExact(size, shape[i]);
            }
        } catch (ArithmeticException e) {
            throw new LoraConfigurationException(
                    file.name() + ": " + where + " has a shape of more than 2^63 bytes", e);
        }
        if (whole(json, "bytes") != size) {
            throw file.fail(
                    where + " has " + json.get("bytes") + " bytes, by its shape it has " + size);
        }
        long offset = whole(json, "offset");
        long expected = PackedFile.align(end, PackedFile.TENSOR_ALIGNMENT);
        if (offset != expected) {
            throw file.fail(
                    where + " lies at byte " + offset + " of the block, expected " + expected);
        }
        if (size > Long.MAX_VALUE / 4 - offset) {
            throw file.fail(where + " has " + size + " bytes, more than any file");
        }
        String crc = text(json, "crc32c");
        if (!crc.matches("[0-9a-f]{8}")) {
            throw file.fail(
                    "crc32c of "
                            + where
                            + " must be 8 hexadecimal digits, found "
                            + Message.quote(crc));
        }
        Entry entry = new Entry(type, shape, offset, size, Integer.parseUnsignedInt(crc, 16));
        if (tensors.put(name, entry) != null) {
            throw file.fail(where + " occurs twice");
        }
        return offset + size;
    }

    private void checkFields(JsonObject json, Set<String> expected, String what) {
        for (String field : expected) {
            if (!json.has(field)) {
                throw file.fail(what + " has no field " + field);
            }
        }
        for (String field : json.keySet()) {
            if (!expected.contains(field)) {
                throw file.fail(what + " has the unknown field " + Message.quote(field));
            }
        }
    }

    private String text(JsonObject json, String field) {
        if (json.get(field) instanceof JsonPrimitive primitive && primitive.isString()) {
            return primitive.getAsString();
        }
        throw file.fail(field + " must be a string");
    }

    private JsonArray array(JsonObject json, String field) {
        if (json.get(field) instanceof JsonArray array) {
            return array;
        }
        throw file.fail(field + " must be an array");
    }

    private long whole(JsonObject json, String field) {
        return whole(json.get(field), field);
    }

    private long whole(JsonElement element, String what) {
        if (element instanceof JsonPrimitive primitive && primitive.isNumber()) {
            try {
                long value = Long.parseLong(primitive.getAsString());
                if (value >= 0) {
                    return value;
                }
            } catch (NumberFormatException e) {
                // falls through to the refusal
            }
        }
        throw file.fail(
                what
                        + " must be a whole number from 0 on, found "
                        + Message.quote(element.toString()));
    }

    /**
     * A tensor in the block.
     *
     * @param type the type of its elements
     * @param shape its dimensions
     * @param offset where it begins in the block
     * @param size its size in bytes
     * @param crc32c its checksum
     */
    record Entry(SafetensorsType type, long[] shape, long offset, long size, int crc32c) {}
}
