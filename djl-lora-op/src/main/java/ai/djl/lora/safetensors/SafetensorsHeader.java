/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.EOFException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the JSON header of a safetensors file and checks it against the file's size.
 *
 * <p>The header is read as a stream, so that what it takes in memory is in proportion to the
 * tensors that it really describes, however it was made.
 */
final class SafetensorsHeader {

    private static final String METADATA = "__metadata__";

    private final String file;
    private final long dataStart;
    private final long dataSize;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private Map<String, String> metadata;

    /**
     * Reads and checks a header.
     *
     * @param file the file, for messages
     * @param json the header's text
     * @param dataStart where the data begins in the file
     * @param dataSize how many bytes of data the file has
     */
    SafetensorsHeader(String file, String json, long dataStart, long dataSize) {
        this.file = file;
        this.dataStart = dataStart;
        this.dataSize = dataSize;
        if (!json.startsWith("{")) {
            throw fail("the header must begin with {, found " + Message.quote(start(json)));
        }
        try (JsonReader reader = StrictJson.newReader(json)) {
            read(reader);
        } catch (EOFException e) {
            throw new LoraConfigurationException(file + ": the header's JSON ends too early", e);
        } catch (MalformedJsonException e) {
            throw new LoraConfigurationException(
                    file + ": the header is not JSON: " + Message.oneLine(StrictJson.firstLine(e)),
                    e);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    file + ": the header cannot be read: " + Message.oneLine(e.toString()), e);
        }
        if (metadata == null) {
            metadata = Map.of();
        }
        checkLayout();
    }

    /**
     * Returns the tensors in the order in which their data lies in the file.
     *
     * @return the tensors by name
     */
    Map<String, TensorInfo> tensors() {
        List<TensorInfo> sorted = new ArrayList<>(tensors.values());
        sorted.sort(Comparator.comparingLong(TensorInfo::offset));
        Map<String, TensorInfo> result = new LinkedHashMap<>();
        sorted.forEach(tensor -> result.put(tensor.name(), tensor));
        return Collections.unmodifiableMap(result);
    }

    /**
     * Returns what the writer noted of the file.
     *
     * @return text by name
     */
    Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    private void read(JsonReader reader) throws IOException {
        reader.beginObject();
        while (reader.hasNext()) {
            String name = reader.nextName();
            if (METADATA.equals(name)) {
                readMetadata(reader);
            } else if (tensors.containsKey(name)) {
                throw fail("tensor " + Message.quote(name) + " occurs twice in the header");
            } else {
                tensors.put(name, readTensor(reader, name));
            }
        }
        reader.endObject();
        if (reader.peek() != JsonToken.END_DOCUMENT) {
            throw fail("text follows the JSON object in the header");
        }
    }

    private void readMetadata(JsonReader reader) throws IOException {
        if (metadata != null) {
            throw fail(METADATA + " occurs twice in the header");
        }
        expect(reader, JsonToken.BEGIN_OBJECT, METADATA);
        metadata = new LinkedHashMap<>();
        reader.beginObject();
        while (reader.hasNext()) {
            String name = reader.nextName();
            String where = METADATA + '.' + Message.quote(name);
            if (metadata.containsKey(name)) {
                throw fail(where + " occurs twice");
            }
            expect(reader, JsonToken.STRING, where);
            metadata.put(name, reader.nextString());
        }
        reader.endObject();
    }

    private TensorInfo readTensor(JsonReader reader, String name) throws IOException {
        String where = "tensor " + Message.quote(name);
        expect(reader, JsonToken.BEGIN_OBJECT, where);
        SafetensorsType type = null;
        long[] shape = null;
        long[] offsets = null;
        reader.beginObject();
        while (reader.hasNext()) {
            String field = reader.nextName();
            boolean again;
            switch (field) {
                case "dtype":
                    again = type != null;
                    type = readType(reader, where);
                    break;
                case "shape":
                    again = shape != null;
                    shape = readNumbers(reader, where + ": shape");
                    break;
                case "data_offsets":
                    again = offsets != null;
                    offsets = readNumbers(reader, where + ": data_offsets");
                    break;
                default:
                    throw fail(
                            where
                                    + ": unknown field "
                                    + Message.quote(field)
                                    + ", allowed are dtype, shape, data_offsets");
            }
            if (again) {
                throw fail(where + ": " + field + " occurs twice");
            }
        }
        reader.endObject();
        if (type == null || shape == null || offsets == null) {
            String missing = type == null ? "dtype" : shape == null ? "shape" : "data_offsets";
            throw fail(where + ": " + missing + " is missing");
        }
        return newTensor(name, where, type, shape, offsets);
    }

    private TensorInfo newTensor(
            String name, String where, SafetensorsType type, long[] shape, long[] offsets) {
        if (offsets.length != 2) {
            throw fail(where + ": data_offsets must be two numbers, found " + offsets.length);
        }
        long begin = offsets[0];
        long end = offsets[1];
        if (begin > end || end > dataSize) {
            throw fail(
                    where
                            + ": data_offsets "
                            + Arrays.toString(offsets)
                            + " must rise and lie within the file's "
                            + dataSize
                            + " bytes of data");
        }
        long size = type.bytes();
        try {
            for (long dimension : shape) {
                size = Math.multiplyExact(size, dimension);
            }
        } catch (ArithmeticException e) {
            throw new LoraConfigurationException(
                    file + ": " + where + ": the size of shape " + show(shape) + " overflows", e);
        }
        if (end - begin != size) {
            throw fail(
                    where
                            + ": "
                            + type
                            + " of shape "
                            + show(shape)
                            + " takes "
                            + size
                            + " bytes, but data_offsets "
                            + Arrays.toString(offsets)
                            + " hold "
                            + (end - begin));
        }
        return new TensorInfo(name, type, shape, dataStart + begin, size);
    }

    private SafetensorsType readType(JsonReader reader, String where) throws IOException {
        expect(reader, JsonToken.STRING, where + ": dtype");
        String name = reader.nextString();
        return SafetensorsType.ofName(name)
                .orElseThrow(
                        () ->
                                fail(
                                        where
                                                + ": unknown dtype "
                                                + Message.quote(name)
                                                + ", allowed are "
                                                + SafetensorsType.names()));
    }

    private long[] readNumbers(JsonReader reader, String where) throws IOException {
        expect(reader, JsonToken.BEGIN_ARRAY, where);
        long[] numbers = new long[4];
        int count = 0;
        reader.beginArray();
        while (reader.hasNext()) {
            expect(reader, JsonToken.NUMBER, where + "[" + count + "]");
            String text = reader.nextString();
            long number;
            try {
                number = Long.parseLong(text);
            } catch (NumberFormatException e) {
                number = -1;
            }
            if (number < 0) {
                throw fail(
                        where
                                + "["
                                + count
                                + "] must be a whole number from 0 to 2^63 - 1, found "
                                + Message.quote(text));
            }
            if (count == numbers.length) {
                numbers = Arrays.copyOf(numbers, 2 * count);
            }
            numbers[count++] = number;
        }
        reader.endArray();
        return Arrays.copyOf(numbers, count);
    }

    private void expect(JsonReader reader, JsonToken token, String where) throws IOException {
        JsonToken found = reader.peek();
        if (found != token) {
            throw fail(
                    where
                            + " must be "
                            + StrictJson.describe(token)
                            + ", found "
                            + StrictJson.describe(found));
        }
    }

    /** Checks that the tensors cover the data: each byte belongs to exactly one of them. */
    private void checkLayout() {
        List<TensorInfo> sorted = new ArrayList<>(tensors.values());
        sorted.sort(
                Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::size));
        long next = dataStart;
        String before = "the header";
        for (TensorInfo tensor : sorted) {
            if (tensor.offset() != next) {
                boolean overlap = tensor.offset() < next;
                throw fail(
                        "tensor "
                                + Message.quote(tensor.name())
                                + (overlap ? " overlaps " : " leaves a hole behind ")
                                + before
                                + ": it begins at "
                                + (tensor.offset() - dataStart)
                                + ", expected "
                                + (next - dataStart));
            }
            next += tensor.size();
            before = "tensor " + Message.quote(tensor.name());
        }
        if (next != dataStart + dataSize) {
            throw fail(
                    "the tensors take "
                            + (next - dataStart)
                            + " bytes, but the file has "
                            + dataSize
                            + " bytes of data");
        }
    }

    private LoraConfigurationException fail(String what) {
        return new LoraConfigurationException(file + ": " + what);
    }

    private static String start(String json) {
        return json.substring(0, Math.min(10, json.length()));
    }

    private static String show(long[] shape) {
        return shape.length <= 8 ? Arrays.toString(shape) : "of " + shape.length + " dimensions";
    }
}
