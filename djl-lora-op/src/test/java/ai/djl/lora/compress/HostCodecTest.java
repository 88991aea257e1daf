/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertNotNull;
import static org.testng.Assert.assertNull;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.HostArena;
import ai.djl.lora.op.Int8Packing;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.PackedAdapter.Entry;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Every codec, over every type and over adapters with all parts that there can be. */
public class HostCodecTest {

    private static final List<LoraModule> MODULES = TestAdapters.modules();
    private static final double SHARE = 0.5;

    private static HostCompressor compressor(Compression compression) {
        return new HostCompressor(compression.codec(MODULES, SHARE));
    }

    @DataProvider
    public Object[][] all() {
        List<Object[]> cases = new ArrayList<>();
        for (Compression compression : Compression.values()) {
            for (ElementType type : ElementType.values()) {
                PackedAdapter adapter = TestAdapters.random(type, 1);
                cases.add(new Object[] {compression, adapter});
                cases.add(new Object[] {compression, Int8Packing.round(adapter, MODULES)});
            }
        }
        return cases.toArray(Object[][]::new);
    }

    @DataProvider
    public Object[][] types() {
        return Arrays.stream(ElementType.values())
                .map(type -> new Object[] {type})
                .toArray(Object[][]::new);
    }

    private static void assertSameBits(PackedAdapter actual, PackedAdapter expected) {
        assertEquals(actual.type(), expected.type());
        assertEquals(actual.entries(), expected.entries());
        assertEquals(actual.data(), expected.data());
        if (expected.integers() == null) {
            assertNull(actual.integers());
        } else {
            assertEquals(actual.integers().data(), expected.integers().data());
            assertEquals(actual.integers().scales(), expected.integers().scales());
        }
    }

    @Test(dataProvider = "all")
    public void whatComesBackIsWhatTheReportSays(Compression compression, PackedAdapter adapter) {
        EncodedAdapter encoded = compressor(compression).encode(adapter);
        PackedAdapter decoded = encoded.encoding().decode(ByteBuffer.wrap(encoded.data()));
        CompressionReport report = encoded.encoding().report();
        assertEquals(report.plainBytes(), adapter.bytes());
        assertEquals(report.encodedBytes(), encoded.data().length);
        assertTrue(report.ratio() >= 1, report.toString());
        assertEquals(decoded.type(), adapter.type());
        assertEquals(decoded.entries(), adapter.entries());
        float[] before = TestAdapters.floats(adapter);
        float[] after = TestAdapters.floats(decoded);
        double max = 0;
        double lost = 0;
        double sum = 0;
        for (int i = 0; i < before.length; ++i) {
            double difference = (double) after[i] - before[i];
            max = Math.max(max, Math.abs(difference));
            lost += difference * difference;
            sum += (double) before[i] * before[i];
        }
        assertEquals(report.maxError(), max);
        // both are sums of the same numbers in the same order, in pieces
        assertEquals(report.relativeRms(), lost == 0 ? 0 : Math.sqrt(lost / sum), 1e-12);
        boolean lossless =
                compression == Compression.NONE
                        || compression == Compression.ZSTD
                        || adapter.integers() != null;
        if (lossless) {
            assertSameBits(decoded, adapter);
        }
        boolean half = adapter.type() != ElementType.FLOAT32;
        boolean nothingToDo =
                compression == Compression.FLOAT16 || compression == Compression.BFLOAT16
                        ? half || adapter.integers() != null
                        : adapter.integers() != null && compression != Compression.ZSTD;
        if (nothingToDo) {
            assertEquals(report.codec(), "none");
        } else if (adapter.integers() == null) {
            assertEquals(report.codec(), compression.label());
            assertEquals(max > 0, !lossless, "max error " + max);
        }
    }

    @Test(dataProvider = "all")
    public void bytesThatWereChangedAreNoticed(Compression compression, PackedAdapter adapter) {
        EncodedAdapter encoded = compressor(compression).encode(adapter);
        Encoding encoding = encoded.encoding();
        PackedAdapter right = encoding.decode(ByteBuffer.wrap(encoded.data()));
        SplittableRandom random = new SplittableRandom(3);
        int noticed = 0;
        int tries = 300;
        for (int i = 0; i < tries; ++i) {
            byte[] wrong = encoded.data().clone();
            wrong[random.nextInt(wrong.length)] ^= (byte) (1 << random.nextInt(8));
            try {
                // a bit that means nothing may be changed, such as behind a mask's last entry
                assertSameBits(encoding.decode(ByteBuffer.wrap(wrong)), right);
            } catch (LoraOffloadException e) {
                assertTrue(e.getMessage().startsWith("An adapter"), e.getMessage());
                ++noticed;
            }
        }
        assertTrue(noticed > tries * 9 / 10, noticed + " of " + tries);
        byte[] data = encoded.data();
        for (int length : new int[] {0, data.length - 1, data.length + 1}) {
            String message =
                    expectThrows(
                                    LoraOffloadException.class,
                                    () ->
                                            encoding.decode(
                                                    ByteBuffer.wrap(Arrays.copyOf(data, length))))
                            .getMessage();
            assertTrue(message.endsWith(data.length + " bytes, found " + length), message);
        }
    }

    @Test
    public void halvesAreRoundedToNearestEven() {
        PackedAdapter adapter = TestAdapters.random(ElementType.FLOAT32, 2);
        float[] before = TestAdapters.floats(adapter);
        float[] float16 = TestAdapters.floats(decoded(Compression.FLOAT16, adapter));
        float[] bfloat16 = TestAdapters.floats(decoded(Compression.BFLOAT16, adapter));
        for (int i = 0; i < before.length; ++i) {
            assertEquals(float16[i], HalfPrecision.fromFloat16(HalfPrecision.toFloat16(before[i])));
            assertEquals(
                    bfloat16[i], HalfPrecision.fromBfloat16(HalfPrecision.toBfloat16(before[i])));
        }
    }

    private static PackedAdapter decoded(Compression compression, PackedAdapter adapter) {
        EncodedAdapter encoded = compressor(compression).encode(adapter);
        assertEquals(encoded.encoding().report().codec(), compression.label());
        return encoded.encoding().decode(ByteBuffer.wrap(encoded.data()));
    }

    @Test
    public void aWeightThatFloat16CannotHoldIsRefused() {
        PackedAdapter adapter = TestAdapters.random(ElementType.FLOAT32, 2);
        ByteBuffer.wrap(adapter.data()).order(java.nio.ByteOrder.LITTLE_ENDIAN).putFloat(40, 1e6f);
        LoraOffloadException e =
                expectThrows(
                        LoraOffloadException.class,
                        () -> compressor(Compression.FLOAT16).encode(adapter));
        assertEquals(
                e.getMessage(),
                "The adapter cannot be kept as float16: element 10 is 1000000.0, which that type"
                        + " cannot hold");
        assertEquals(TestAdapters.floats(decoded(Compression.BFLOAT16, adapter))[10], 999424f);
    }

    @Test(dataProvider = "types")
    public void integersAreTheOperatorsOwn(ElementType type) {
        PackedAdapter adapter = TestAdapters.random(type, 4);
        float[] after = TestAdapters.floats(decoded(Compression.INT8, adapter));
        PackedAdapter rounded = Int8Packing.round(adapter, MODULES);
        byte[] integers = rounded.integers().data();
        float[] scales = rounded.integers().scales();
        float[] before = TestAdapters.floats(adapter);
        int component = 0;
        for (LoraModule module : MODULES) {
            Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            Entry at = rounded.entries()[module.index()];
            int rank = entry.rank();
            for (int k = 0; k < rank; ++k) {
                for (int i = 0; i < module.inFeatures(); ++i) {
                    int element = k * module.inFeatures() + i;
                    float value = integers[(int) at.offsetA() + element] * scales[component + k];
                    assertEquals(after[(int) entry.offsetA() + element], round(value, type));
                }
                for (int o = 0; o < module.outFeatures(); ++o) {
                    int element = o * rank + k;
                    float value =
                            integers[(int) at.offsetB() + element] * scales[component + rank + k];
                    assertEquals(after[(int) entry.offsetB() + element], round(value, type));
                }
            }
            component += 2 * rank;
            for (long vector : new long[] {entry.offsetOutScale(), entry.offsetBias()}) {
                for (int o = 0; vector >= 0 && o < module.outFeatures(); ++o) {
                    assertEquals(after[(int) vector + o], before[(int) vector + o]);
                }
            }
        }
        assertEquals(component, scales.length);
    }

    private static float round(float value, ElementType type) {
        return switch (type) {
            case FLOAT32 -> value;
            case FLOAT16 -> HalfPrecision.fromFloat16(HalfPrecision.toFloat16(value));
            case BFLOAT16 -> HalfPrecision.fromBfloat16(HalfPrecision.toBfloat16(value));
        };
    }

    @Test(dataProvider = "types")
    public void theSmallestEntriesOfEachMatrixAreDropped(ElementType type) {
        for (double share : new double[] {0.2, 0.5, 0.9}) {
            PackedAdapter adapter = TestAdapters.random(type, 5);
            EncodedAdapter encoded =
                    new HostCompressor(Compression.PRUNE.codec(MODULES, share)).encode(adapter);
            float[] before = TestAdapters.floats(adapter);
            float[] after =
                    TestAdapters.floats(encoded.encoding().decode(ByteBuffer.wrap(encoded.data())));
            long bytes = 0;
            for (LoraModule module : MODULES) {
                Entry entry = adapter.entries()[module.index()];
                if (entry == null) {
                    continue;
                }
                for (long[] part :
                        new long[][] {
                            {entry.offsetA(), entry.rank() * module.inFeatures(), 1},
                            {entry.offsetB(), entry.rank() * module.outFeatures(), 1},
                            {entry.offsetOutScale(), module.outFeatures(), 0},
                            {entry.offsetBias(), module.outFeatures(), 0}
                        }) {
                    if (part[0] >= 0) {
                        int count = (int) part[1];
                        int dropped = part[2] == 1 ? (int) (share * count) : 0;
                        assertPruned(before, after, (int) part[0], count, dropped);
                        bytes += (count - dropped) * type.bytes() + part[2] * ((count + 7) / 8);
                    }
                }
            }
            assertEquals(encoded.data().length, bytes);
        }
    }

    private static void assertPruned(
            float[] before, float[] after, int from, int count, int dropped) {
        float largestDropped = 0;
        float smallestKept = Float.POSITIVE_INFINITY;
        int zeros = 0;
        for (int i = from; i < from + count; ++i) {
            float magnitude = Math.abs(before[i]);
            if (after[i] == 0) {
                ++zeros;
                largestDropped = Math.max(largestDropped, magnitude);
            } else {
                assertEquals(after[i], before[i]);
                smallestKept = Math.min(smallestKept, magnitude);
            }
        }
        assertEquals(zeros, dropped);
        assertTrue(largestDropped <= smallestKept, largestDropped + " > " + smallestKept);
    }

    @Test(dataProvider = "types")
    public void equalEntriesAreDroppedFirstOnesFirst(ElementType type) {
        List<LoraModule> modules = List.of(new LoraModule(0, "m", 10, 10));
        float[] values = new float[20];
        Arrays.fill(values, 2);
        values[1] = -1;
        values[12] = -3;
        PackedAdapter adapter =
                new PackedAdapter(
                        type,
                        TestAdapters.bytes(values, type),
                        new Entry[] {new Entry(1, 1, 0, 10)});
        EncodedAdapter encoded =
                new HostCompressor(Compression.PRUNE.codec(modules, 0.4)).encode(adapter);
        float[] after =
                TestAdapters.floats(encoded.encoding().decode(ByteBuffer.wrap(encoded.data())));
        assertEquals(
                after, new float[] {0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, -3, 0, 0, 2, 2, 2, 2, 2});
    }

    @Test
    public void anAdapterWithoutMeaningfulWeightsIsKept() {
        List<LoraModule> modules = List.of(new LoraModule(0, "m", 100, 100));
        for (ElementType type : ElementType.values()) {
            PackedAdapter zeros =
                    new PackedAdapter(
                            type,
                            new byte[200 * type.bytes()],
                            new Entry[] {new Entry(1, 1, 0, 100)});
            for (Compression compression : Compression.values()) {
                EncodedAdapter encoded =
                        new HostCompressor(compression.codec(modules, SHARE)).encode(zeros);
                assertSameBits(encoded.encoding().decode(ByteBuffer.wrap(encoded.data())), zeros);
                assertEquals(encoded.encoding().report().relativeRms(), 0.0);
            }
        }
    }

    @Test(dataProvider = "all")
    public void anAdapterCanLieInABlockThatMoves(Compression compression, PackedAdapter adapter) {
        EncodedAdapter encoded = compressor(compression).encode(adapter);
        PackedAdapter expected = encoded.encoding().decode(ByteBuffer.wrap(encoded.data()));
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(1 << 20))) {
            Block<ByteBuffer> gap = pool.tryAllocate(100).orElseThrow();
            Block<ByteBuffer> block = pool.tryAllocate(encoded.data().length).orElseThrow();
            block.access(bytes -> bytes.put(encoded.data()));
            pool.free(gap);
            assertEquals(pool.defragment().blocks(), 1);
            PackedAdapter decoded = block.access(encoded.encoding()::decode);
            assertNotNull(decoded);
            assertSameBits(decoded, expected);
        }
    }

    @Test
    public void aLosslessCodecThatLosesSomethingIsRefused() {
        HostCodec lossy = Compression.INT8.codec(MODULES, SHARE);
        HostCodec liar =
                new HostCodec() {
                    @Override
                    public String label() {
                        return "liar";
                    }

                    @Override
                    public boolean isLossless() {
                        return true;
                    }

                    @Override
                    public Optional<byte[]> encode(PackedAdapter adapter) {
                        return lossy.encode(adapter);
                    }

                    @Override
                    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
                        return lossy.decode(layout, encoded);
                    }
                };
        assertThrows(
                LoraOffloadException.class,
                () -> new HostCompressor(liar).encode(TestAdapters.random(ElementType.FLOAT32, 1)));
    }

    @Test
    public void compressionsHaveNames() {
        for (Compression compression : Compression.values()) {
            assertSame(Compression.ofLabel(compression.label()), compression);
            assertEquals(compression.codec(MODULES, SHARE).label(), compression.label());
        }
        assertEquals(
                expectThrows(LoraConfigurationException.class, () -> Compression.ofLabel("gzip"))
                        .getMessage(),
                "Unknown compression \"gzip\"; allowed are none, float16, bfloat16, int8, prune,"
                        + " zstd");
        for (double share : new double[] {0, 1, Double.NaN}) {
            assertThrows(
                    IllegalArgumentException.class, () -> Compression.PRUNE.codec(MODULES, share));
        }
    }
}
