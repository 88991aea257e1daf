/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Reads numbers and texts of a part of a file one behind another, never past the part's end. */
final class ByteReader {

    private static final int BUFFER = 1 << 16;

    private final DataChannel data;
    private final long end;
    private final ByteBuffer buffer;
    private long next;

    /**
     * Constructs a new {@code ByteReader} instance.
     *
     * @param data the file
     * @param start where to begin
     * @param end where the part ends, at most the file's size
     */
    ByteReader(DataChannel data, long start, long end) {
        this.data = data;
        this.end = end;
        next = start;
        buffer = ByteBuffer.allocate((int) Math.max(8, Math.min(BUFFER, end - start)));
        buffer.order(ByteOrder.LITTLE_ENDIAN).limit(0);
    }

    /** Returns where in the file the next byte lies. */
    long position() {
        return next - buffer.remaining();
    }

    /** Returns how many bytes are left. */
    long remaining() {
        return end - position();
    }

    /** Leaves bytes out. */
    void skip(long count) {
        checkRemaining(count);
        if (count <= buffer.remaining()) {
            buffer.position(buffer.position() + (int) count);
        } else {
            next = position() + count;
            buffer.limit(0);
        }
    }

    /** Reads an unsigned byte. */
    int u8() {
        need(1);
        return buffer.get() & 0xff;
    }

    /** Reads an unsigned number of two bytes. */
    int u16() {
        need(2);
        return buffer.getShort() & 0xffff;
    }

    /** Reads a signed number of four bytes. */
    int i32() {
        need(4);
        return buffer.getInt();
    }

    /** Reads an unsigned number of four bytes. */
    long u32() {
        return Integer.toUnsignedLong(i32());
    }

    /** Reads a signed number of eight bytes. */
    long i64() {
        need(8);
        return buffer.getLong();
    }

    /** Reads bytes into an array of its own. */
    byte[] bytes(int count) {
        // before memory is taken: the bytes must be there
        checkRemaining(count);
        byte[] bytes = new byte[count];
        int buffered = Math.min(count, buffer.remaining());
        buffer.get(bytes, 0, buffered);
        if (buffered < count) {
            data.readFully(next, ByteBuffer.wrap(bytes, buffered, count - buffered));
            next += count - buffered;
        }
        return bytes;
    }

    /**
     * Reads UTF-8.
     *
     * @param count its length in bytes
     * @param max how long it may be
     * @param what what it is, for messages
     */
    String text(long count, int max, String what) {
        if (count < 0 || count > max) {
            throw data.fail(
                    what
                            + " at byte "
                            + position()
                            + " has "
                            + Long.toUnsignedString(count)
                            + " bytes, allowed are "
                            + max);
        }
        long at = position();
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes((int) count)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException(
                    data.name() + ": " + what + " at byte " + at + " is not UTF-8", e);
        }
    }

    /** Reads ASCII up to a line's end, which is left out. */
    String line(int max, String what) {
        StringBuilder line = new StringBuilder();
        long at = position();
        int c = u8();
        while (c != '\n') {
            if (line.length() == max) {
                throw data.fail(what + " at byte " + at + " has more than " + max + " characters");
            }
            line.append((char) c);
            c = u8();
        }
        return line.toString();
    }

    private void checkRemaining(long count) {
        if (count < 0 || count > remaining()) {
            throw data.fail(
                    "the data ends at byte "
                            + end
                            + ", but "
                            + Long.toUnsignedString(count)
                            + " bytes are needed from byte "
                            + position()
                            + " on");
        }
    }

    private void need(int count) {
        if (buffer.remaining() >= count) {
            return;
        }
        checkRemaining(count);
        buffer.compact();
        buffer.limit((int) Math.min(buffer.capacity(), buffer.position() + end - next));
        int before = buffer.position();
        data.readFully(next, buffer);
        next += buffer.position() - before;
        buffer.flip();
    }
}
