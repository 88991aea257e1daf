/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class HalfPrecisionTest {

    /** The definition of IEEE 754 binary16, in doubles, which hold every such value exactly. */
    private static double float16(int bits) {
        int exponent = bits >> 10 & 0x1f;
        int mantissa = bits & 0x3ff;
        double magnitude;
        if (exponent == 0) {
            magnitude = Math.scalb((double) mantissa, -24);
        } else if (exponent == 31) {
            magnitude = mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        } else {
            magnitude = Math.scalb(1024.0 + mantissa, exponent - 25);
        }
        return (bits & 0x8000) == 0 ? magnitude : -magnitude;
    }

    @Test
    public void everyFloat16WidensToItsDefinition() {
        for (int bits = 0; bits < 65536; bits++) {
            float value = HalfPrecision.fromFloat16((short) bits);
            // compare() tells -0 from 0 and takes a NaN as equal to itself
            assertEquals(Double.compare(value, float16(bits)), 0, Integer.toHexString(bits));
        }
    }

    @Test
    public void everyFloat16SurvivesBothWays() {
        for (int bits = 0; bits < 65536; bits++) {
            short back = HalfPrecision.toFloat16(HalfPrecision.fromFloat16((short) bits));
            assertEquals(back, (short) bits, Integer.toHexString(bits));
        }
    }

    @Test
    public void everyBfloat16SurvivesBothWaysAndIsTheUpperHalf() {
        for (int bits = 0; bits < 65536; bits++) {
            float value = HalfPrecision.fromBfloat16((short) bits);
            assertEquals(Float.floatToRawIntBits(value), bits << 16);
            assertEquals(HalfPrecision.toBfloat16(value), (short) bits, Integer.toHexString(bits));
        }
    }

    /** Between each two neighbours, at the middle and one float to either side of it. */
    @Test
    public void everyFloat16IntervalRoundsToNearestEven() {
        for (int bits = 0; bits < 0x7c00; bits++) {
            // the neighbour of the largest value is where infinity would lie: 65536
            double next = bits == 0x7bff ? 65536 : float16(bits + 1);
            float middle = (float) ((float16(bits) + next) / 2);
            assertEquals((double) middle, (float16(bits) + next) / 2, "float32 holds the middle");
            int even = bits % 2 == 0 ? bits : bits + 1;
            for (int sign : new int[] {0, 0x8000}) {
                float s = sign == 0 ? 1 : -1;
                assertFloat16(s * Math.nextDown(middle), sign | bits);
                assertFloat16(s * middle, sign | even);
                assertFloat16(s * Math.nextUp(middle), sign | bits + 1);
            }
        }
    }

    private static void assertFloat16(float value, int expected) {
        assertEquals(HalfPrecision.toFloat16(value), (short) expected, Float.toHexString(value));
    }

    @Test
    public void everyBfloat16IntervalRoundsToNearestEven() {
        for (int bits = 0; bits < 0x7f80; bits++) {
            int middle = bits << 16 | 0x8000;
            int even = bits % 2 == 0 ? bits : bits + 1;
            for (int sign : new int[] {0, 0x8000}) {
                assertBfloat16(sign << 16 | middle - 1, sign | bits);
                assertBfloat16(sign << 16 | middle, sign | even);
                assertBfloat16(sign << 16 | middle + 1, sign | bits + 1);
            }
        }
    }

    private static void assertBfloat16(int floatBits, int expected) {
        assertEquals(
                HalfPrecision.toBfloat16(Float.intBitsToFloat(floatBits)),
                (short) expected,
                Integer.toHexString(floatBits));
    }

    @DataProvider
    public Object[][] knownFloat16() {
        return new Object[][] {
            {0f, 0x0000},
            {-0f, 0x8000},
            {1f, 0x3c00},
            {-2f, 0xc000},
            {0.1f, 0x2e66},
            {1f / 3, 0x3555},
            {65504f, 0x7bff},
            {65519.996f, 0x7bff},
            {65520f, 0x7c00},
            {1e10f, 0x7c00},
            {-1e10f, 0xfc00},
            {Float.MAX_VALUE, 0x7c00},
            {Float.POSITIVE_INFINITY, 0x7c00},
            {Float.NEGATIVE_INFINITY, 0xfc00},
            {0x1p-14f, 0x0400},
            {0x1p-24f, 0x0001},
            {0x1p-25f, 0x0000},
            {0x1.000002p-25f, 0x0001},
            {-0x1p-25f, 0x8000},
            {Float.MIN_VALUE, 0x0000},
            {Float.NaN, 0x7e00},
        };
    }

    @Test(dataProvider = "knownFloat16")
    public void narrowsKnownFloat16(float value, int expected) {
        assertEquals(HalfPrecision.toFloat16(value) & 0xffff, expected);
    }

    @DataProvider
    public Object[][] knownBfloat16() {
        return new Object[][] {
            {0f, 0x0000},
            {-0f, 0x8000},
            {1f, 0x3f80},
            {0.1f, 0x3dcd},
            {3.14159265f, 0x4049},
            {Float.MAX_VALUE, 0x7f80},
            {Float.NEGATIVE_INFINITY, 0xff80},
            {Float.MIN_VALUE, 0x0000},
            {Float.NaN, 0x7fc0},
        };
    }

    @Test(dataProvider = "knownBfloat16")
    public void narrowsKnownBfloat16(float value, int expected) {
        assertEquals(HalfPrecision.toBfloat16(value) & 0xffff, expected);
    }

    /** NaNs whose payload lies in the lowest bits alone, which both types cut off. */
    @Test
    public void everyNanStaysOne() {
        for (int payload = 1; payload < 1 << 23; payload += payload < 70_000 ? 1 : 4099) {
            for (int sign : new int[] {0, 1 << 31}) {
                float nan = Float.intBitsToFloat(sign | 0x7f800000 | payload);
                assertTrue(Float.isNaN(HalfPrecision.fromFloat16(HalfPrecision.toFloat16(nan))));
                assertTrue(Float.isNaN(HalfPrecision.fromBfloat16(HalfPrecision.toBfloat16(nan))));
            }
        }
    }
}
