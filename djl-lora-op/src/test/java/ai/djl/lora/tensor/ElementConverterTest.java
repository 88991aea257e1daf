/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.expectThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class ElementConverterTest {

    private static final float[] VALUES = {
        0f,
        -0f,
        1f,
        -1.5f,
        0.1f,
        3.14159f,
        65504f,
        1e-5f,
        6e-8f,
        -1234.567f,
        1e-40f,
        70000f,
        3e38f,
        Float.POSITIVE_INFINITY,
        Float.NaN
    };

    @DataProvider
    public Object[][] pairs() {
        ElementType[] types = ElementType.values();
        Object[][] pairs = new Object[types.length * types.length][];
        for (int i = 0; i < pairs.length; i++) {
            pairs[i] = new Object[] {types[i / types.length], types[i % types.length]};
        }
        return pairs;
    }

    @Test(dataProvider = "pairs")
    public void convertsEachElementAsAlone(ElementType from, ElementType to) {
        ByteBuffer source = ByteBuffer.allocateDirect(VALUES.length * from.bytes() + 3);
        source.position(3);
        for (float value : VALUES) {
            write(source, value, from);
        }
        source.position(3);
        // the buffer's own order must not matter
        ByteBuffer target = ByteBuffer.allocate(VALUES.length * to.bytes() + 5);
        target.order(ByteOrder.BIG_ENDIAN).position(5);

        ElementConverter.convert(source, from, target, to);

        assertEquals(source.remaining(), 0);
        assertEquals(target.remaining(), 0);
        ByteBuffer expected = ByteBuffer.allocate(target.capacity());
        expected.position(5);
        source.position(3);
        for (int i = 0; i < VALUES.length; i++) {
            write(expected, read(source, from), to);
        }
        assertEquals(target.array(), expected.array());
    }

    private static void write(ByteBuffer buffer, float value, ElementType type) {
        int bits =
                switch (type) {
                    case FLOAT32 -> Float.floatToRawIntBits(value);
                    case FLOAT16 -> HalfPrecision.toFloat16(value);
                    case BFLOAT16 -> HalfPrecision.toBfloat16(value);
                };
        for (int i = 0; i < type.bytes(); i++) {
            buffer.put((byte) (bits >> 8 * i));
        }
    }

    private static float read(ByteBuffer buffer, ElementType type) {
        int bits = 0;
        for (int i = 0; i < type.bytes(); i++) {
            bits |= (buffer.get() & 0xff) << 8 * i;
        }
        return switch (type) {
            case FLOAT32 -> Float.intBitsToFloat(bits);
            case FLOAT16 -> HalfPrecision.fromFloat16((short) bits);
            case BFLOAT16 -> HalfPrecision.fromBfloat16((short) bits);
        };
    }

    @Test
    public void refusesHalfAnElement() {
        IllegalArgumentException e =
                expectThrows(
                        IllegalArgumentException.class,
                        () ->
                                ElementConverter.convert(
                                        ByteBuffer.allocate(5),
                                        ElementType.FLOAT32,
                                        ByteBuffer.allocate(8),
                                        ElementType.FLOAT16));
        assertEquals(e.getMessage(), "5 bytes are no whole number of float32 elements");
    }

    @Test
    public void refusesATargetThatIsTooSmall() {
        ByteBuffer target = ByteBuffer.allocate(7);
        IllegalArgumentException e =
                expectThrows(
                        IllegalArgumentException.class,
                        () ->
                                ElementConverter.convert(
                                        ByteBuffer.allocate(4),
                                        ElementType.BFLOAT16,
                                        target,
                                        ElementType.FLOAT32));
        assertEquals(e.getMessage(), "7 bytes are no room for 2 elements of float32");
        assertEquals(target.position(), 0);
    }
}
