/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Making, filling and converting tensors. */
public class LoraNativeTensorTest extends NativeTestBase {

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    @Test
    public void describesItself() {
        Assert.assertEquals(
                LoraNative.version().split(" ", 2)[0], bundled().getProperty("version"));
        Assert.assertTrue(LoraNative.version().contains("libtorch 2."), LoraNative.version());
        Assert.assertTrue(LoraNative.threads() >= 1);
        Assert.assertTrue(
                LoraNative.cpuFeatures().matches("([a-z0-9_]+( [a-z0-9_]+)*)?"),
                LoraNative.cpuFeatures());
    }

    @Test
    public void knowsTypes() {
        try (NDArray array = manager.zeros(new Shape(2))) {
            Assert.assertEquals(LoraNative.elementType(handle(array)), LoraNative.FLOAT32);
        }
        DataType[] types = {
            DataType.FLOAT32,
            DataType.FLOAT16,
            null,
            DataType.INT64,
            DataType.INT32,
            DataType.BOOLEAN,
            DataType.UINT8,
            DataType.INT8,
            DataType.FLOAT64
        };
        for (int code = 0; code < types.length; ++code) {
            NDArray ours = array(LoraNative.zeros(code, new long[] {2, 3}));
            Assert.assertEquals(LoraNative.elementType(handle(ours)), code);
            Assert.assertEquals(ours.getShape(), new Shape(2, 3));
            if (types[code] != null) {
                Assert.assertEquals(ours.getDataType(), types[code]);
                Assert.assertEquals(ours, manager.zeros(new Shape(2, 3), types[code]));
            }
        }
        assertRefused("element type 9", () -> LoraNative.zeros(9, new long[] {1}));
        assertRefused("element type -1", () -> LoraNative.empty(-1, new long[] {1}));
    }

    @Test
    public void makesTensorsOfAnyShape() {
        for (long[] shape : new long[][] {{}, {0}, {3, 0, 2}, {1}, {4, 5, 6}}) {
            NDArray array = array(LoraNative.empty(LoraNative.BFLOAT16, shape));
            Assert.assertEquals(LoraNative.shape(handle(array)), shape);
        }
        assertRefused("shape is null", () -> LoraNative.empty(0, null));
        assertRefused("no size may be negative", () -> LoraNative.zeros(0, new long[] {2, -1}));
        assertRefused(
                "more bytes than a long holds",
                () -> LoraNative.zeros(0, new long[] {1L << 40, 1L << 40}));
        assertRefused("17 dimensions", () -> LoraNative.zeros(0, new long[17]));
        EngineException failed =
                Assert.expectThrows(
                        EngineException.class, () -> LoraNative.empty(0, new long[] {1L << 55}));
        Assert.assertTrue(
                failed.getMessage().contains("could not allocate a tensor of float32 ["),
                failed.getMessage());
    }

    @Test
    public void seesABufferWithoutACopy() {
        ByteBuffer buffer = direct(40);
        for (int i = 0; i < 10; ++i) {
            buffer.putFloat(4 * i, i);
        }
        NDArray array = array(LoraNative.fromBuffer(buffer, 8, 0, new long[] {2, 3}));
        Assert.assertEquals(array.toFloatArray(), new float[] {2, 3, 4, 5, 6, 7});
        buffer.putFloat(8, 42);
        Assert.assertEquals(array.getFloat(0, 0), 42f);
        buffer.position(13).limit(14);
        array(LoraNative.fromBuffer(buffer, 0, 0, new long[] {10}));
        array(LoraNative.fromBuffer(buffer, 40, 0, new long[] {0}));
        array(LoraNative.fromBuffer(direct(0), 0, 0, new long[] {0}));

        assertRefused("buffer is null", () -> LoraNative.fromBuffer(null, 0, 0, new long[] {1}));
        assertRefused(
                "not a direct buffer",
                () -> LoraNative.fromBuffer(ByteBuffer.allocate(8), 0, 0, new long[] {1}));
        assertRefused(
                "float32 [11] is 44 bytes, which at offset 0 do not lie within the buffer of 40",
                () -> LoraNative.fromBuffer(buffer, 0, 0, new long[] {11}));
        assertRefused("at offset -4", () -> LoraNative.fromBuffer(buffer, -4, 0, new long[] {1}));
        assertRefused(
                "at offset 9223372036854775807",
                () -> LoraNative.fromBuffer(buffer, Long.MAX_VALUE, 0, new long[] {1}));
        assertRefused(
                "not aligned to the 4 bytes",
                () -> LoraNative.fromBuffer(buffer, 2, 0, new long[] {1}));
    }

    @Test
    public void copiesBytesInAndOut() {
        NDArray array = array(LoraNative.zeros(LoraNative.INT8, new long[] {2, 3}));
        long tensor = handle(array);
        LoraNative.copyFromBytes(tensor, 1, new byte[] {9, 1, 2, 3}, 1, 3);
        Assert.assertEquals(array.toByteArray(), new byte[] {0, 1, 2, 3, 0, 0});
        ByteBuffer source = direct(4).put(3, (byte) 7);
        LoraNative.copyFromBuffer(tensor, 5, source, 3, 1);
        Assert.assertEquals(array.toByteArray(), new byte[] {0, 1, 2, 3, 0, 7});
        byte[] target = new byte[4];
        LoraNative.copyToBytes(tensor, 3, target, 1, 3);
        Assert.assertEquals(target, new byte[] {0, 3, 0, 7});
        LoraNative.copyFromBytes(tensor, 6, new byte[0], 0, 0);
        LoraNative.copyFromBuffer(tensor, 6, direct(0), 0, 0);

        byte[] bytes = new byte[4];
        assertRefused(
                "4 bytes at offset 3 do not lie within tensor int8 [2, 3] of 6 bytes",
                () -> LoraNative.copyFromBytes(tensor, 3, bytes, 0, 4));
        assertRefused("at offset -1", () -> LoraNative.copyFromBytes(tensor, -1, bytes, 0, 1));
        assertRefused("at index 2", () -> LoraNative.copyFromBytes(tensor, 0, bytes, 2, 3));
        assertRefused("at index -1", () -> LoraNative.copyFromBytes(tensor, 0, bytes, -1, 1));
        assertRefused("-1 bytes", () -> LoraNative.copyFromBytes(tensor, 0, bytes, 0, -1));
        assertRefused("source is null", () -> LoraNative.copyFromBytes(tensor, 0, null, 0, 0));
        assertRefused("target is null", () -> LoraNative.copyToBytes(tensor, 0, null, 0, 0));
        assertRefused("at index 4", () -> LoraNative.copyToBytes(tensor, 0, bytes, 4, 1));
        assertRefused("at index 4", () -> LoraNative.copyFromBuffer(tensor, 0, source, 4, 1));
        assertRefused("at offset 6", () -> LoraNative.copyFromBuffer(tensor, 6, source, 0, 1));
        assertRefused(
                "must be contiguous",
                () -> LoraNative.copyFromBytes(handle(array.transpose()), 0, bytes, 0, 1));
    }

    @Test
    public void convertsFloatingTypes() {
        NDArray values =
                manager.create(new float[] {0f, -0f, 1f, 1.00390625f, 3.14159265f, 1e30f, -65504f});
        NDArray bf16 = toType(values, LoraNative.BFLOAT16);
        Assert.assertEquals(LoraNative.elementType(handle(bf16)), LoraNative.BFLOAT16);
        // 1 + 2^-8 lies halfway and goes to the even neighbour
        Assert.assertEquals(
                widen(bf16).toFloatArray(),
                new float[] {0f, -0f, 1f, 1f, 3.140625f, 1.00025555e30f, -65536f});
        byte[] bytes = new byte[14];
        LoraNative.copyToBytes(handle(bf16), 0, bytes, 0, 14);
        short pi = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).getShort(8);
        Assert.assertEquals(pi, (short) 0x4049);
        NDArray again = toType(widen(bf16), LoraNative.BFLOAT16);
        byte[] same = new byte[14];
        LoraNative.copyToBytes(handle(again), 0, same, 0, 14);
        Assert.assertEquals(same, bytes);
        Assert.assertEquals(
                rounded(values, LoraNative.FLOAT16).toFloatArray()[4], 3.140625f, "float16");

        NDArray transposed = random(3, 5).transpose();
        NDArray copy = toType(transposed, LoraNative.FLOAT32);
        Assert.assertEquals(copy, transposed);
        LoraNative.copyFromBytes(handle(copy), 0, new byte[4], 0, 4); // contiguous
        Assert.assertEquals(
                toType(manager.create(new long[] {7}), LoraNative.FLOAT32).toFloatArray(),
                new float[] {7f});
        assertRefused("type is int64", () -> LoraNative.toType(handle(values), LoraNative.INT64));
    }

    @Test
    public void viewsAndCopiesRows() {
        NDArray array = manager.arange(12f).reshape(4, 3);
        NDArray rows = array(LoraNative.narrowRows(handle(array), 1, 3));
        Assert.assertEquals(rows, array.get("1:3"));
        rows.muli(10);
        Assert.assertEquals(array.getFloat(2, 1), 70f);
        NDArray inner = array(LoraNative.narrowRows(handle(rows), 1, 2));
        Assert.assertEquals(inner.toFloatArray(), new float[] {60, 70, 80});
        Assert.assertEquals(
                array(LoraNative.narrowRows(handle(array), 4, 4)).getShape(), new Shape(0, 3));

        LoraNative.copyRows(handle(array), 2, handle(manager.ones(new Shape(2, 3))));
        Assert.assertEquals(array.get("2:"), manager.ones(new Shape(2, 3)));
        NDArray strided = manager.arange(6f).reshape(3, 2).transpose();
        LoraNative.copyRows(handle(array), 0, handle(strided));
        Assert.assertEquals(array.get("0:2"), strided);
        LoraNative.copyRows(handle(array), 4, handle(manager.zeros(new Shape(0, 3))));
        NDArray cache = array(LoraNative.zeros(LoraNative.BFLOAT16, new long[] {5, 2, 3}));
        NDArray step = random(1, 2, 3);
        LoraNative.copyRows(handle(cache), 3, handle(toType(step, LoraNative.BFLOAT16)));
        Assert.assertEquals(widen(cache).get("3:4"), rounded(step, LoraNative.BFLOAT16));
        Assert.assertEquals(widen(cache).get("4").abs().sum().getFloat(), 0f);

        long target = handle(array);
        long three = handle(manager.zeros(new Shape(3, 3)));
        assertRefused(
                "3 rows at row 2 do not lie within target float32 [4, 3]",
                () -> LoraNative.copyRows(target, 2, three));
        assertRefused("3 rows at row -1", () -> LoraNative.copyRows(target, -1, three));
        assertRefused(
                "source is float32 [3, 2] and target is float32 [4, 3]",
                () -> LoraNative.copyRows(target, 0, handle(manager.zeros(new Shape(3, 2)))));
        assertRefused(
                "source is bfloat16 [5, 2, 3], but its type must be float32",
                () -> LoraNative.copyRows(target, 0, handle(cache)));
        assertRefused(
                "shares memory", () -> LoraNative.copyRows(target, 1, handle(array.get("0:2"))));
        assertRefused("rows 3 to 2", () -> LoraNative.narrowRows(target, 3, 2));
        assertRefused("rows 0 to 5", () -> LoraNative.narrowRows(target, 0, 5));
        assertRefused("rows -1 to 1", () -> LoraNative.narrowRows(target, -1, 1));
        assertRefused("rows 0 to 0", () -> LoraNative.narrowRows(handle(manager.create(1f)), 0, 0));
    }

    @Test
    public void freesWhatItIsTold() {
        LoraNative.deleteTensor(LoraNative.zeros(0, new long[] {4}));
        assertRefused("tensor is missing", () -> LoraNative.deleteTensor(0));
    }
}
