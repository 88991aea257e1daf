/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What a GGUF file says of itself: its metadata and its tensors ({@code docs/gguf.md} of ggml).
 *
 * <p>Read are versions 2 and 3, little endian. As llama.cpp does, the tensors must lie behind one
 * another in the order in which they are described.
 */
final class GgufFile {

    /** "GGUF" as a number. */
    static final int MAGIC = 0x46554747;

    private static final int MAX_NAME = 1 << 16;
    private static final int MAX_METADATA = 1 << 16;
    private static final int MAX_TEXT = 1 << 20;
    private static final int MAX_DIMENSIONS = 4;
    private static final int DEFAULT_ALIGNMENT = 32;
    private static final int MAX_ALIGNMENT = 1 << 20;

    /** Longer lists are those of tokenizers, which are of no use here and passed over. */
    private static final int MAX_LIST = 1 << 12;

    private final DataChannel file;
    private final ByteReader in;
    private final Map<String, Object> metadata = new HashMap<>();
    private final Map<String, GgufTensor> tensors = new LinkedHashMap<>();

    /**
     * Reads and checks all but the tensors' bytes.
     *
     * @param file the file
     * @param limits how much it may ask for
     */
    GgufFile(DataChannel file, FormatLimits limits) {
        this.file = file;
        in = new ByteReader(file, 0, Math.min(file.size(), limits.maxHeaderBytes()));
        if (in.i32() != MAGIC) {
            throw file.fail("expected a GGUF file, which begins with GGUF");
        }
        int version = in.i32();
        if (version != 2 && version != 3) {
            boolean swapped = Integer.reverseBytes(version) == 3;
            throw file.fail(
                    swapped
                            ? "the file is big endian, expected little endian"
                            : "the version of GGUF is "
                                    + Integer.toUnsignedString(version)
                                    + ", allowed are 2 and 3");
        }
        long count = in.i64();
        if (count < 0 || count > limits.maxTensors()) {
            limits.checkCount(file.name(), count < 0 ? Long.MAX_VALUE : count);
        }
        readMetadata(in.i64());
        for (long i = 0; i < count; i++) {
            readTensor();
        }
        locate();
    }

    /** Returns the tensors by name, in the file's order, with their places in the file. */
    Map<String, GgufTensor> tensors() {
        return tensors;
    }

    /** Returns a text of the metadata, empty where there is none. */
    Optional<String> text(String key) {
        return value(key, String.class, "a string");
    }

    /** Returns a float of the metadata, empty where there is none. */
    Optional<Float> number(String key) {
        return value(key, Float.class, "a float");
    }

    /** Returns a list of whole numbers of the metadata, empty where there is none. */
    Optional<long[]> wholes(String key) {
        return value(key, long[].class, "a short list of whole numbers");
    }

    private <T> Optional<T> value(String key, Class<T> type, String expected) {
        Object value = metadata.get(key);
        if (value != null && !type.isInstance(value)) {
            throw file.fail("the metadata's " + Message.quote(key) + " is not " + expected);
        }
        return Optional.ofNullable(type.cast(value));
    }

    private void readMetadata(long count) {
        if (count < 0 || count > MAX_METADATA) {
            throw file.fail(
                    "the metadata has "
                            + Long.toUnsignedString(count)
                            + " entries, allowed are "
                            + MAX_METADATA);
        }
        for (long i = 0; i < count; i++) {
            String key = in.text(in.i64(), MAX_NAME, "a key of the metadata");
            if (metadata.put(key, readValue(key, in.u32())) != null) {
                throw file.fail("the metadata has the key " + Message.quote(key) + " twice");
            }
        }
    }

    private Object readValue(String key, long type) {
        if (type == 9) {
            return readList(key);
        }
        if (type == 8) {
            return in.text(in.i64(), MAX_TEXT, "a string of the metadata");
        }
        if (type == 6) {
            return Float.intBitsToFloat(in.i32());
        }
        if (type == 12) {
            return Double.longBitsToDouble(in.i64());
        }
        if (type == 7) {
            int value = in.u8();
            if (value > 1) {
                throw file.fail(
                        "the metadata's "
                                + Message.quote(key)
                                + " is the boolean "
                                + value
                                + ", allowed are 0 and 1");
            }
            return value == 1;
        }
        return readWhole(key, type);
    }

    private long readWhole(String key, long type) {
        return switch ((int) Math.min(type, 99)) {
            case 0 -> in.u8();
            case 1 -> (byte) in.u8();
            case 2 -> in.u16();
            case 3 -> (short) in.u16();
            case 4 -> in.u32();
            case 5 -> in.i32();
            case 10, 11 -> in.i64();
            default ->
                    throw file.fail(
                            "the metadata's "
                                    + Message.quote(key)
                                    + " has the type "
                                    + type
                                    + ", allowed are 0 to 12");
        };
    }

    private Object readList(String key) {
        long type = in.u32();
        long count = in.i64();
        // the smallest element takes a byte, so that the file bounds what is taken for it
        if (count < 0 || count > in.remaining()) {
            throw file.fail(
                    "the metadata's "
                            + Message.quote(key)
                            + " is a list of "
                            + Long.toUnsignedString(count)
                            + " values, more than the file can hold");
        }
        if (type == 9) {
            throw file.fail(
                    "the metadata's "
                            + Message.quote(key)
                            + " is a list of lists, which is"
                            + " not allowed");
        }
        boolean whole = type <= 5 || type == 10 || type == 11;
        long[] kept = whole && count <= MAX_LIST ? new long[(int) count] : null;
        for (long i = 0; i < count; i++) {
            if (type == 8) {
                in.skip(in.i64());
            } else if (kept != null) {
                kept[(int) i] = readWhole(key, type);
            } else {
                readValue(key, type);
            }
        }
        return kept == null ? new Object() : kept;
    }

    private void readTensor() {
        String name = in.text(in.i64(), MAX_NAME, "a tensor's name");
        String shown = "tensor " + Message.quote(name);
        long dimensions = in.u32();
        if (dimensions > MAX_DIMENSIONS) {
            throw file.fail(
                    shown + " has " + dimensions + " dimensions, allowed are " + MAX_DIMENSIONS);
        }
        long[] shape = new long[(int) dimensions];
        for (int i = shape.length - 1; i >= 0; i--) {
            shape[i] = in.i64();
        }
        long code = in.u32();
        GgufType type =
                GgufType.of(code)
                        .orElseThrow(() -> file.fail(shown + " has the unknown type " + code));
        if (type.readAs().isEmpty()) {
            throw file.fail(
                    shown
                            + " has the type "
                            + type
                            + ", allowed are F32, F16, BF16 and Q8_0; converting the adapter with"
                            + " --outtype f16 makes one of them");
        }
        GgufTensor tensor = new GgufTensor(name, type, shape, in.i64(), size(shown, type, shape));
        if (tensors.put(name, tensor) != null) {
            throw file.fail(shown + " occurs twice");
        }
    }

    private long size(String shown, GgufType type, long[] shape) {
        long count = 1;
        try {
            for (long dimension : shape) {
                if (dimension < 0) {
                    throw new ArithmeticException("a dimension of 2^63 or more");
                }
                count = Math.multiplyExact(count, dimension);
            }
            if (count > Long.MAX_VALUE / Float.BYTES) {
                // four bytes are the most that an element takes here
                throw new ArithmeticException("more bytes than 2^63");
            }
        } catch (ArithmeticException e) {
            throw new LoraConfigurationException(
                    file.name()
                            + ": "
                            + shown
                            + " has the shape "
                            + Arrays.toString(shape)
                            + ", which is larger than any can be",
                    e);
        }
        if (type != GgufType.Q8_0) {
            return count * type.readAs().orElseThrow().bytes();
        }
        long row = shape.length == 0 ? 1 : shape[shape.length - 1];
        if (row % GgufType.BLOCK != 0) {
            throw file.fail(
                    shown
                            + " is Q8_0 with rows of "
                            + row
                            + " elements, expected whole blocks of "
                            + GgufType.BLOCK);
        }
        return count / GgufType.BLOCK * GgufType.BLOCK_BYTES;
    }

    /** Gives each tensor its place in the file. */
    private void locate() {
        long alignment = alignment();
        long start = align(in.position(), alignment);
        long next = 0;
        for (Map.Entry<String, GgufTensor> entry : tensors.entrySet()) {
            GgufTensor tensor = entry.getValue();
            if (tensor.offset() != next) {
                throw file.fail(
                        "tensor "
                                + Message.quote(tensor.name())
                                + " begins at byte "
                                + Long.toUnsignedString(tensor.offset())
                                + " of the data, expected "
                                + next);
            }
            if (tensor.size() > file.size() - start - next) {
                throw file.fail(
                        "tensor "
                                + Message.quote(tensor.name())
                                + " has "
                                + tensor.size()
                                + " bytes from byte "
                                + (start + next)
                                + " on, but the file ends at "
                                + file.size());
            }
            entry.setValue(
                    new GgufTensor(
                            tensor.name(),
                            tensor.type(),
                            tensor.shape(),
                            start + next,
                            tensor.size()));
            next = align(next + tensor.size(), alignment);
        }
        if (file.size() - start > next) {
            throw file.fail((file.size() - start - next) + " bytes follow the last tensor's data");
        }
    }

    private long alignment() {
        Object value = metadata.getOrDefault("general.alignment", (long) DEFAULT_ALIGNMENT);
        Predicate<Long> allowed =
                number -> number >= 8 && number <= MAX_ALIGNMENT && number % 8 == 0;
        if (value instanceof Long number && allowed.test(number)) {
            return number;
        }
        throw file.fail(
                "general.alignment must be a multiple of 8 up to "
                        + MAX_ALIGNMENT
                        + (value instanceof Long number ? ", found " + number : ""));
    }

    private static long align(long position, long alignment) {
        return (position + alignment - 1) / alignment * alignment;
    }
}
