/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/** Converts whole blocks of little-endian elements from one type to another. */
public final class ElementConverter {

    private ElementConverter() {}

    /**
     * Converts the remaining elements of a buffer; both positions move behind what was converted.
     *
     * <p>Between the two types of 16 bits the way goes through float32, which holds either exactly,
     * so that there is one rounding. What the target cannot hold becomes infinity.
     *
     * @param source the elements to convert, little endian whatever the buffer's own order
     * @param from the type of {@code source}
     * @param target where to write, little endian whatever the buffer's own order; must not share
     *     memory with {@code source}
     * @param to the type to write
     * @throws IllegalArgumentException if {@code source} does not hold whole elements, or {@code
     *     target} has not room for them
     */
    public static void convert(
            ByteBuffer source, ElementType from, ByteBuffer target, ElementType to) {
        int count = source.remaining() / from.bytes();
        if (source.remaining() % from.bytes() != 0) {
            throw new IllegalArgumentException(
                    source.remaining() + " bytes are no whole number of " + from + " elements");
        }
        if (target.remaining() / to.bytes() < count) {
            throw new IllegalArgumentException(
                    target.remaining() + " bytes are no room for " + count + " elements of " + to);
        }
        if (from == to) {
            target.put(source);
            return;
        }
        ByteBuffer in = source.slice().order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer out = target.slice().order(ByteOrder.LITTLE_ENDIAN);
        if (from == ElementType.FLOAT32) {
            narrow(in.asFloatBuffer(), out.asShortBuffer(), count, to);
        } else if (to == ElementType.FLOAT32) {
            widen(in.asShortBuffer(), from, out.asFloatBuffer(), count);
        } else {
            cross(in.asShortBuffer(), from, out.asShortBuffer(), count);
        }
        source.position(source.limit());
        target.position(target.position() + count * to.bytes());
    }

    private static void narrow(FloatBuffer in, ShortBuffer out, int count, ElementType to) {
        if (to == ElementType.FLOAT16) {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.toFloat16(in.get(i)));
            }
        } else {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.toBfloat16(in.get(i)));
            }
        }
    }

    private static void widen(ShortBuffer in, ElementType from, FloatBuffer out, int count) {
        if (from == ElementType.FLOAT16) {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.fromFloat16(in.get(i)));
            }
        } else {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.fromBfloat16(in.get(i)));
            }
        }
    }

    private static void cross(ShortBuffer in, ElementType from, ShortBuffer out, int count) {
        if (from == ElementType.FLOAT16) {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.toBfloat16(HalfPrecision.fromFloat16(in.get(i))));
            }
        } else {
            for (int i = 0; i < count; i++) {
                out.put(i, HalfPrecision.toFloat16(HalfPrecision.fromBfloat16(in.get(i))));
            }
        }
    }
}
