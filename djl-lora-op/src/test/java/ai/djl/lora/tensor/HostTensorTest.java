/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.expectThrows;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class HostTensorTest {

    @DataProvider
    public Object[][] tensors() {
        return new Object[][] {
            {ElementType.FLOAT32, "0000803f000000c0", new float[] {1, -2}},
            {ElementType.FLOAT16, "003c00c0", new float[] {1, -2}},
            {ElementType.BFLOAT16, "803f00c0", new float[] {1, -2}},
        };
    }

    @Test(dataProvider = "tensors")
    public void givesItsElementsAsFloats(ElementType type, String bytes, float[] expected) {
        HostTensor tensor = new HostTensor(type, new long[] {2, 1}, HexFormat.of().parseHex(bytes));
        assertEquals(tensor.toFloats(), expected);
        assertEquals(tensor.toString(), type + " [2, 1]");
    }

    @Test
    public void keepsItsShapeFromOthers() {
        long[] shape = {2};
        HostTensor tensor = new HostTensor(ElementType.FLOAT16, shape, new byte[4]);
        shape[0] = 7;
        tensor.shape()[0] = 7;
        assertEquals(tensor.shape(), new long[] {2});
    }

    @Test
    public void refusesBytesThatDoNotFillTheShape() {
        IllegalArgumentException e =
                expectThrows(
                        IllegalArgumentException.class,
                        () -> new HostTensor(ElementType.FLOAT32, new long[] {2, 3}, new byte[20]));
        assertEquals(e.getMessage(), "A float32 tensor of shape [2, 3] takes 24 bytes, found 20");
    }

    @Test
    public void refusesANegativeDimension() {
        expectThrows(
                IllegalArgumentException.class,
                () -> new HostTensor(ElementType.FLOAT32, new long[] {-1, -1}, new byte[4]));
    }

    @DataProvider
    public Object[][] nonFinite() {
        return new Object[][] {
            {ElementType.FLOAT32, "0000803fffff7f7f", -1},
            {ElementType.FLOAT32, "0000803f0000807f", 1},
            {ElementType.FLOAT32, "010080ff0000803f", 0},
            {ElementType.FLOAT16, "ff7b00800100", -1},
            {ElementType.FLOAT16, "ff7b007c017c", 1},
            {ElementType.FLOAT16, "0000ff7b01fe", 2},
            {ElementType.BFLOAT16, "7f7f0080", -1},
            {ElementType.BFLOAT16, "7f7f80ff", 1},
            {ElementType.BFLOAT16, "c07f", 0},
        };
    }

    @Test(dataProvider = "nonFinite")
    public void findsTheFirstNonFinite(ElementType type, String bytes, int expected) {
        byte[] data = HexFormat.of().parseHex("ffff" + bytes);
        ByteBuffer buffer = ByteBuffer.wrap(data).position(2);
        assertEquals(NonFinite.indexOf(buffer, type), expected);
        assertEquals(buffer.position(), 2);
    }
}
