/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

/**
 * Conversions between float32 and the two types of 16 bits.
 *
 * <p>Rounding is to the nearest value and to the even one of two that are equally near, as IEEE 754
 * and PyTorch round. A NaN stays a NaN; widening and narrowing again gives back every one of the
 * 65,536 patterns of either type. (Java 17 has no such conversions of its own; Java 20 has them for
 * float16 alone.)
 */
public final class HalfPrecision {

    private static final int FLOAT_INFINITY = 0x7f800000;
    private static final int HALF_INFINITY = 0x7c00;

    /** The bits of 65520, halfway from the largest float16 to the next power of two. */
    private static final int HALF_OVERFLOW = 0x477ff000;

    /** The bits of 2^-14, the smallest normal float16. */
    private static final int HALF_NORMAL = 0x38800000;

    private HalfPrecision() {}

    /**
     * Widens a float16.
     *
     * @param half the bits of a binary16
     * @return the same value
     */
    public static float fromFloat16(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = half >>> 10 & 0x1f;
        int mantissa = half & 0x3ff;
        if (exponent == 0x1f) {
            return Float.intBitsToFloat(sign | FLOAT_INFINITY | mantissa << 13);
        }
        if (exponent == 0) {
            // subnormal or zero: the mantissa counts units of 2^-24, which float32 holds exactly
            float magnitude = mantissa * 0x1p-24f;
            return sign == 0 ? magnitude : -magnitude;
        }
        // the exponents' biases are 15 and 127
        return Float.intBitsToFloat(sign | exponent + 112 << 23 | mantissa << 13);
    }

    /**
     * Narrows to float16.
     *
     * @param value a float
     * @return the bits of the nearest binary16; infinity from 65520 on
     */
    public static short toFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = bits >>> 16 & 0x8000;
        int magnitude = bits & 0x7fffffff;
        if (magnitude > FLOAT_INFINITY) {
            int payload = magnitude >>> 13 & 0x3ff;
            // a payload whose upper bits are zero must not turn into infinity
            return (short) (sign | HALF_INFINITY | (payload == 0 ? 0x200 : payload));
        }
        if (magnitude >= HALF_OVERFLOW) {
            return (short) (sign | HALF_INFINITY);
        }
        if (magnitude < HALF_NORMAL) {
            // adding 0.5 makes float32's own rounding drop all bits below 2^-24
            float shifted = Float.intBitsToFloat(magnitude) + 0.5f;
            return (short) (sign | Float.floatToRawIntBits(shifted) - 0x3f000000);
        }
        int rebiased = magnitude - (112 << 23);
        return (short) (sign | roundEven(rebiased, 13));
    }

    /**
     * Widens a bfloat16.
     *
     * @param half the bits of a bfloat16
     * @return the same value
     */
    public static float fromBfloat16(short half) {
        return Float.intBitsToFloat(half << 16);
    }

    /**
     * Narrows to bfloat16.
     *
     * @param value a float
     * @return the bits of the nearest bfloat16
     */
    public static short toBfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > FLOAT_INFINITY) {
            int upper = bits >>> 16;
            return (short) ((upper & 0x7f) == 0 ? upper | 0x40 : upper);
        }
        return (short) roundEven(bits, 16);
    }

    /** Drops bits; a carry moves into the exponent, which is what rounding up a power needs. */
    private static int roundEven(int bits, int dropped) {
        int odd = bits >>> dropped & 1;
        return bits + (1 << dropped - 1) - 1 + odd >>> dropped;
    }
}
