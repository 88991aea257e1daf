/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What codecs of keys and values give back, beside what they may lose. */
public class KvCodecTest {

    private static final int LAYERS = 3;
    private static final int HEADS = 2;
    private static final int DIM = 24;
    private static final int POSITIONS = 16;

    @DataProvider
    public Object[][] types() {
        return Arrays.stream(ElementType.values())
                .map(type -> new Object[] {type})
                .toArray(Object[][]::new);
    }

    private static KvBlockShape shape(ElementType type) {
        return new KvBlockShape(LAYERS, HEADS, DIM, POSITIONS, type);
    }

    /** Keys of which each channel has a size of its own, from far below to far above the values. */
    private static float[] values(KvBlockShape shape, long seed) {
        Random random = new Random(seed);
        float[] values = new float[shape.elements()];
        for (int i = 0; i < values.length; ++i) {
            boolean key = i / shape.layerKeys() % 2 == 0;
            double size = key ? Math.exp(i / POSITIONS % 13 - 8) : 1;
            values[i] = (float) (random.nextGaussian() * size);
        }
        return values;
    }

    private static byte[] block(KvBlockShape shape, float... values) {
        ByteBuffer wide =
                ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        wide.asFloatBuffer().put(values);
        byte[] block = new byte[(int) shape.bytes()];
        ElementConverter.convert(wide, ElementType.FLOAT32, ByteBuffer.wrap(block), shape.type());
        return block;
    }

    private static float[] floats(KvBlockShape shape, byte[] block) {
        ByteBuffer wide = ByteBuffer.allocate(shape.elements() * Float.BYTES);
        ElementConverter.convert(ByteBuffer.wrap(block), shape.type(), wide, ElementType.FLOAT32);
        float[] values = new float[shape.elements()];
        wide.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return values;
    }

    /** Returns what a codec makes of a block, whose arrays have held another before. */
    private static byte[] restored(KvCodec codec, KvBlockShape shape, byte[] block) {
        byte[] encoded = new byte[codec.mostBytes()];
        byte[] decoded = new byte[block.length];
        byte[] other = block(shape, values(shape, 99));
        codec.decode(encoded, codec.encode(other, encoded), decoded);
        int length = codec.encode(block, encoded);
        Assert.assertTrue(length > 0 && length <= encoded.length, "length " + length);
        Arrays.fill(encoded, length, encoded.length, (byte) 77);
        codec.decode(encoded, length, decoded);
        return decoded;
    }

    /** Returns the largest error that rounding to a type may add to a value. */
    private static double rounding(ElementType type, double value) {
        return switch (type) {
            case FLOAT32 -> Math.abs(value) * 0x1p-23;
            case FLOAT16 -> Math.abs(value) * 0x1p-11 + 0x1p-25;
            case BFLOAT16 -> Math.abs(value) * 0x1p-8;
        };
    }

    @Test(dataProvider = "types")
    public void eightBitsAreOffByHalfAScaleAtMost(ElementType type) {
        KvBlockShape shape = shape(type);
        KvCodec codec = KvCompression.INT8.codec(shape, 0);
        byte[] block = block(shape, values(shape, 1));
        float[] before = floats(shape, block);
        float[] after = floats(shape, restored(codec, shape, block));
        int from = 0;
        int changed = 0;
        while (from < before.length) {
            boolean keys = from / shape.layerKeys() % 2 == 0;
            int count = keys ? POSITIONS : DIM;
            double largest = 0;
            for (int i = from; i < from + count; ++i) {
                largest = Math.max(largest, Math.abs(before[i]));
            }
            // the scale is rounded up by less than a 128th
            double half = largest / 127 * (1 + 0x1p-7) / 2;
            for (int i = from; i < from + count; ++i) {
                double bound = half * (1 + 1e-6) + rounding(type, after[i]);
                Assert.assertEquals(after[i], before[i], bound, "element " + i);
                changed += after[i] == before[i] ? 0 : 1;
            }
            from += count;
        }
        Assert.assertTrue(changed > before.length / 2, "nothing was rounded");
        int scales = LAYERS * HEADS * (DIM + POSITIONS);
        Assert.assertEquals(codec.mostBytes(), shape.elements() + 2 * scales);
    }

    @Test(dataProvider = "types")
    public void eightBitsHoldTheSmallestAndTheLargest(ElementType type) {
        KvBlockShape shape = shape(type);
        KvCodec codec = KvCompression.INT8.codec(shape, 0);
        float most = type == ElementType.FLOAT16 ? 64_800 : 3.3e38f;
        float[] values = new float[shape.elements()];
        // a channel each, of the rest of zeros
        values[3] = most;
        values[POSITIONS] = Float.MIN_VALUE;
        values[2 * POSITIONS + 1] = -0f;
        values[3 * POSITIONS] = -1;
        float[] after = floats(shape, restored(codec, shape, block(shape, values)));
        Assert.assertEquals(after[3], most, most / 127);
        Assert.assertEquals(after[POSITIONS], 0, 1e-40);
        Assert.assertEquals(after[2 * POSITIONS + 1], 0, 0);
        Assert.assertEquals(after[3 * POSITIONS], -1, 0.01);
        Assert.assertEquals(after[4 * POSITIONS], 0, 0);
    }

    @Test(dataProvider = "types")
    public void whatCannotComeBackIsNotRounded(ElementType type) {
        KvBlockShape shape = shape(type);
        // the largest number of the type would become infinity
        float largest = type == ElementType.FLOAT16 ? 65_504 : 0x1.fep127f;
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY, largest}) {
            for (int at : new int[] {0, shape.elements() - 1}) {
                float[] values = values(shape, 3);
                values[at] = bad;
                byte[] block = block(shape, values);
                for (double share : new double[] {0, 0.3}) {
                    KvCodec codec = KvCompression.INT8.codec(shape, share);
                    int length = codec.encode(block, new byte[codec.mostBytes()]);
                    Assert.assertEquals(length, KvCodec.NOT_ENCODED);
                }
                KvCodec lossless = KvCompression.LOSSLESS.codec(shape, 0);
                Assert.assertEquals(restored(lossless, shape, block), block);
            }
        }
    }

    @Test
    public void float16RoundsToNearest() {
        KvBlockShape shape = shape(ElementType.FLOAT32);
        KvCodec codec = KvCompression.FLOAT16.codec(shape, 0);
        float[] before = values(shape, 4);
        float[] after = floats(shape, restored(codec, shape, block(shape, before)));
        for (int i = 0; i < before.length; ++i) {
            Assert.assertEquals(after[i], before[i], rounding(ElementType.FLOAT16, before[i]));
        }
        Assert.assertEquals(codec.mostBytes(), shape.bytes() / 2);
        before[5] = 65_520;
        int length = codec.encode(block(shape, before), new byte[codec.mostBytes()]);
        Assert.assertEquals(length, KvCodec.NOT_ENCODED);
    }

    @Test(dataProvider = "types")
    public void losslessGivesEveryBitBack(ElementType type) {
        KvBlockShape shape = shape(type);
        KvCodec codec = KvCompression.LOSSLESS.codec(shape, 0);
        byte[] block = block(shape, values(shape, 5));
        Assert.assertEquals(restored(codec, shape, block), block);
        byte[] noise = new byte[block.length];
        new Random(6).nextBytes(noise);
        Assert.assertEquals(restored(codec, shape, noise), noise);
        byte[] encoded = new byte[codec.mostBytes()];
        Assert.assertTrue(codec.encode(block, encoded) < block.length, "nothing was saved");
    }

    @Test(dataProvider = "types")
    public void pruningDropsTheSmallestAndKeepsTheRest(ElementType type) {
        KvBlockShape shape = shape(type);
        double share = 0.4;
        KvCodec codec = KvCompression.LOSSLESS.codec(shape, share);
        byte[] block = block(shape, values(shape, 7));
        float[] before = floats(shape, block);
        float[] after = floats(shape, restored(codec, shape, block));
        for (int from = 0; from < before.length; from += shape.layerKeys()) {
            double largestDropped = 0;
            double smallestKept = Double.MAX_VALUE;
            int dropped = 0;
            for (int i = from; i < from + shape.layerKeys(); ++i) {
                if (after[i] == 0) {
                    ++dropped;
                    largestDropped = Math.max(largestDropped, Math.abs(before[i]));
                } else {
                    Assert.assertEquals(after[i], before[i]);
                    smallestKept = Math.min(smallestKept, Math.abs(before[i]));
                }
            }
            Assert.assertTrue(largestDropped < smallestKept);
            Assert.assertTrue(dropped <= share * shape.layerKeys(), "dropped " + dropped);
            // all of one of the magnitudes that are told apart stay together, a percent of a size
            Assert.assertTrue(dropped > (share - 0.05) * shape.layerKeys(), "dropped " + dropped);
        }
    }

    @Test(dataProvider = "types")
    public void pruningSavesBesideOtherCodecs(ElementType type) {
        KvBlockShape shape = shape(type);
        byte[] block = block(shape, values(shape, 8));
        KvCodec pruned = KvCompression.LOSSLESS.codec(shape, 0.5);
        byte[] without = restored(pruned, shape, block);
        for (KvCompression compression : KvCompression.values()) {
            boolean saves =
                    compression == KvCompression.INT8
                            || compression == KvCompression.FLOAT16 && type == ElementType.FLOAT32;
            if (saves) {
                KvCodec plain = compression.codec(shape, 0);
                KvCodec codec = compression.codec(shape, 0.5);
                Assert.assertEquals(restored(codec, shape, block), restored(plain, shape, without));
                int length = codec.encode(block, new byte[codec.mostBytes()]);
                // a bit for each element more, and half of the elements less
                int width = plain.elementBytes();
                double most = plain.mostBytes() - (0.45 * width - 0.125) * shape.elements();
                Assert.assertTrue(length < most, compression + ": " + length + " of " + most);
            }
        }
    }

    @Test
    public void refusesWhatSavesNothing() {
        KvBlockShape half = shape(ElementType.BFLOAT16);
        LoraConfigurationException nothing =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> KvCompression.FLOAT16.codec(half, 0));
        Assert.assertEquals(
                nothing.getMessage(),
                "kvCompression float16 saves nothing, since keys and values are bfloat16; choose"
                        + " int8 or lossless");
        Assert.expectThrows(
                LoraConfigurationException.class, () -> KvCompression.NONE.codec(half, 0));
        for (double share : new double[] {-0.1, 1, Double.NaN}) {
            Assert.expectThrows(
                    LoraConfigurationException.class, () -> KvCompression.INT8.codec(half, share));
        }
    }

    @Test
    public void whatWasCutIsNotDecoded() {
        KvBlockShape shape = shape(ElementType.FLOAT32);
        byte[] block = block(shape, values(shape, 9));
        for (KvCompression compression : KvCompression.values()) {
            if (compression != KvCompression.NONE) {
                for (double share : new double[] {0, 0.3}) {
                    KvCodec codec = compression.codec(shape, share);
                    byte[] encoded = new byte[codec.mostBytes()];
                    int length = codec.encode(block, encoded);
                    Assert.assertThrows(
                            RuntimeException.class,
                            () -> codec.decode(encoded, length - 1, new byte[block.length]));
                }
            }
        }
    }
}
