/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * Looks once at each byte of a tensor: its SHA-256, whether it is all zero, whether it is finite.
 */
final class TensorScan {

    private final MessageDigest digest = ContentHash.newDigest();
    private final ElementType type;
    private final int exponent;
    private long position;
    private long notFinite = -1;
    private int element;
    private boolean zero = true;

    /**
     * Constructs a new {@code TensorScan} instance.
     *
     * @param type the type of the elements; null where it does not matter whether they are finite
     */
    TensorScan(ElementType type) {
        this.type = type;
        exponent = type == null ? 0 : exponent(type);
    }

    /** Takes the next bytes, little endian; they may end inside an element. */
    void add(ByteBuffer bytes) {
        digest.update(bytes.duplicate());
        if (type != null) {
            scan(bytes.duplicate());
        }
    }

    private void scan(ByteBuffer bytes) {
        int size = type.bytes();
        bytes.order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            if (position % size == 0 && bytes.remaining() >= size) {
                take(size == 2 ? bytes.getShort() : bytes.getInt());
                position += size;
            } else {
                element |= (bytes.get() & 0xff) << (position % size) * Byte.SIZE;
                position++;
                if (position % size == 0) {
                    position -= size;
                    take(element);
                    position += size;
                    element = 0;
                }
            }
        }
    }

    /** Takes the element that begins at the position. */
    private void take(int bits) {
        if ((bits & exponent) == exponent && notFinite < 0) {
            notFinite = position / type.bytes();
        }
        // the sign of a zero does not count
        zero = zero && bits << Integer.SIZE - type.bytes() * Byte.SIZE + 1 == 0;
    }

    private static int exponent(ElementType type) {
        return switch (type) {
            case FLOAT32 -> 0x7f800000;
            case FLOAT16 -> 0x7c00;
            case BFLOAT16 -> 0x7f80;
        };
    }

    /** Returns the first element that is infinite or no number, -1 where there is none. */
    long notFinite() {
        return notFinite;
    }

    /** Returns whether every element is zero. */
    boolean isZero() {
        return zero;
    }

    /** Ends the scan and returns the SHA-256 in hexadecimal digits. To be called once. */
    String finish() {
        return HexFormat.of().formatHex(digest.digest());
    }
}
