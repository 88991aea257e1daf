/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes the instructions of a pickle, right ones and such as no writer should make. */
final class PickleWriter {

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    /** Writes instructions that have no operand, by their characters. */
    PickleWriter ops(String codes) {
        out.writeBytes(codes.getBytes(StandardCharsets.ISO_8859_1));
        return this;
    }

    PickleWriter raw(int... bytes) {
        for (int each : bytes) {
            out.write(each);
        }
        return this;
    }

    PickleWriter protocol(int version) {
        return raw(0x80, version);
    }

    PickleWriter global(String module, String name) {
        return ops("c" + module + '\n' + name + '\n');
    }

    PickleWriter text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        ops("X").int32(bytes.length);
        out.writeBytes(bytes);
        return this;
    }

    PickleWriter number(long value) {
        raw(0x8a, 8);
        return int64(value);
    }

    PickleWriter numbers(long... values) {
        ops("(");
        for (long value : values) {
            number(value);
        }
        return ops("t");
    }

    PickleWriter none() {
        return ops("N");
    }

    PickleWriter bool(boolean value) {
        return raw(value ? 0x88 : 0x89);
    }

    PickleWriter int32(int value) {
        return little(4, value);
    }

    PickleWriter int64(long value) {
        return little(8, value);
    }

    /** Writes a storage's persistent id. */
    PickleWriter storage(String type, String key, long count) {
        ops("(").text("storage").global("torch", type).text(key).text("cpu").number(count);
        return ops("tQ");
    }

    /** Writes a tensor of a new storage. */
    PickleWriter tensor(
            String type, String key, long count, long offset, long[] shape, long[] strides) {
        global("torch._utils", "_rebuild_tensor_v2").ops("(").storage(type, key, count);
        number(offset).numbers(shape).numbers(strides).bool(false);
        return global("collections", "OrderedDict").ops(")RtR");
    }

    byte[] toByteArray() {
        return out.toByteArray();
    }

    private PickleWriter little(int size, long value) {
        byte[] bytes = new byte[8];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(value);
        out.write(bytes, 0, size);
        return this;
    }
}
