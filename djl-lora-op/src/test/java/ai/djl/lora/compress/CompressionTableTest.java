/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.cache.RealAdapters;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;
import org.testng.SkipException;
import org.testng.annotations.Test;

/**
 * Every codec on every adapter of this repository. Writes the tables of {@code
 * docs/results/compression.md} to {@code target/compression.md}; with {@code -Ddjl.lora.rounds=30},
 * with times that mean something.
 */
public class CompressionTableTest {

    private static final int ROUNDS = Integer.getInteger("djl.lora.rounds", 1);
    private static final List<ElementType> TYPES =
            List.of(ElementType.FLOAT32, ElementType.BFLOAT16);

    private static Map<String, HostCodec> codecs(List<LoraModule> modules) {
        Map<String, HostCodec> codecs = new LinkedHashMap<>();
        for (Compression compression : Compression.values()) {
            if (compression != Compression.PRUNE) {
                codecs.put(compression.label(), compression.codec(modules, 0.5));
            }
        }
        for (double share : new double[] {0.3, 0.5, 0.7}) {
            codecs.put("prune " + share, Compression.PRUNE.codec(modules, share));
        }
        codecs.put("lz4", new Lz4Codec(false));
        codecs.put("lz4 high", new Lz4Codec(true));
        return codecs;
    }

    @Test
    public void eightBitsTakeHalfOfBfloat16AndAQuarterOfFloat32() throws IOException {
        List<RealAdapters.Found> adapters = adapters();
        for (RealAdapters.Found found : adapters) {
            List<LoraModule> modules = RealAdapters.modules(found.model());
            for (ElementType type : TYPES) {
                PackedAdapter adapter = found.pack(type);
                CompressionReport report =
                        new HostCompressor(Compression.INT8.codec(modules, 0.5))
                                .encode(adapter)
                                .encoding()
                                .report();
                double saved = 1 - (double) report.encodedBytes() / adapter.bytes();
                double least = type == ElementType.FLOAT32 ? 0.5 : 0.45;
                // the tiny random models of the goldens have rows of 64, where scales weigh more
                boolean demo = found.directory().toString().contains("demo");
                if (demo) {
                    assertTrue(saved >= least, found.name() + ' ' + type + ": " + saved);
                }
                // half of a 127th of a component's largest at most, and far less in the mean
                assertTrue(report.relativeRms() < 0.02, found.name() + ' ' + report);
            }
        }
    }

    private static List<RealAdapters.Found> adapters() throws IOException {
        List<RealAdapters.Found> adapters = RealAdapters.list();
        if (adapters.isEmpty()) {
            throw new SkipException("There are no adapters in this checkout");
        }
        return adapters;
    }

    @Test
    public void everyCodecOnEveryAdapter() throws IOException {
        StringBuilder tables = new StringBuilder();
        for (ElementType type : TYPES) {
            Map<String, List<CompressionReport>> rows = new LinkedHashMap<>();
            List<String> names = new ArrayList<>();
            for (RealAdapters.Found found : adapters()) {
                names.add(found.name());
                PackedAdapter adapter = found.pack(type);
                codecs(RealAdapters.modules(found.model()))
                        .forEach(
                                (label, codec) ->
                                        rows.computeIfAbsent(label, key -> new ArrayList<>())
                                                .add(measure(codec, adapter)));
            }
            append(tables, type, names, rows);
        }
        appendTimes(tables);
        Files.writeString(
                Files.createDirectories(Path.of("target")).resolve("compression.md"),
                tables.toString());
    }

    private static CompressionReport measure(HostCodec codec, PackedAdapter adapter) {
        EncodedAdapter encoded = new HostCompressor(codec).encode(adapter);
        PackedAdapter decoded = encoded.encoding().decode(ByteBuffer.wrap(encoded.data()));
        assertEquals(decoded.data().length, adapter.data().length);
        return encoded.encoding().report();
    }

    private static void append(
            StringBuilder tables,
            ElementType type,
            List<String> names,
            Map<String, List<CompressionReport>> rows) {
        tables.append("### ").append(type).append(": times smaller\n\n");
        header(tables, names);
        rows.forEach(
                (label, row) -> {
                    tables.append("| ").append(label);
                    for (CompressionReport report : row) {
                        tables.append(format(" | %.2f", report.ratio()));
                    }
                    tables.append(" |\n");
                });
        tables.append("\n### ").append(type).append(": relative RMS error / largest error\n\n");
        header(tables, names);
        rows.forEach(
                (label, row) -> {
                    if (row.stream().allMatch(each -> each.maxError() == 0)) {
                        return;
                    }
                    tables.append("| ").append(label);
                    for (CompressionReport report : row) {
                        tables.append(
                                format(" | %.1e / %.1e", report.relativeRms(), report.maxError()));
                    }
                    tables.append(" |\n");
                });
        tables.append('\n');
    }

    private static void header(StringBuilder tables, List<String> names) {
        tables.append("| codec");
        names.forEach(name -> tables.append(" | ").append(name));
        tables.append(" |\n|---").append("|---".repeat(names.size())).append("|\n");
    }

    /** Times one adapter of 8 MB of a model's size, since the repository's own are tiny. */
    private static void appendTimes(StringBuilder tables) {
        tables.append("### GB/s\n\n| type | codec | encode | encode and verify | decode |\n")
                .append("|---|---|---|---|---|\n");
        int width = 2048;
        int rank = 16;
        for (ElementType type : TYPES) {
            int count = (8 << 20) / (2 * width * rank * type.bytes());
            List<LoraModule> modules = new ArrayList<>();
            PackedAdapter.Entry[] entries = new PackedAdapter.Entry[count];
            long part = (long) width * rank;
            for (int m = 0; m < count; ++m) {
                modules.add(new LoraModule(m, "m" + m, width, width));
                entries[m] = new PackedAdapter.Entry(rank, 1, 2 * m * part, (2 * m + 1) * part);
            }
            Random random = new Random(1);
            float[] values = new float[(int) (2 * count * part)];
            for (int i = 0; i < values.length; ++i) {
                values[i] = (float) (random.nextGaussian() * 0.02);
            }
            PackedAdapter adapter =
                    new PackedAdapter(type, TestAdapters.bytes(values, type), entries);
            codecs(modules)
                    .forEach(
                            (label, codec) -> {
                                HostCompressor compressor = new HostCompressor(codec);
                                EncodedAdapter encoded = compressor.encode(adapter);
                                Encoding encoding = encoded.encoding();
                                if (encoding.report().codec().equals(codec.label())) {
                                    tables.append(
                                            format(
                                                    "| %s | %s | %.2f | %.2f | %.2f |%n",
                                                    type,
                                                    label,
                                                    speed(adapter, () -> codec.encode(adapter)),
                                                    speed(
                                                            adapter,
                                                            () -> compressor.encode(adapter)),
                                                    speed(
                                                            adapter,
                                                            () ->
                                                                    encoding.decode(
                                                                            ByteBuffer.wrap(
                                                                                    encoded
                                                                                            .data())))));
                                }
                            });
        }
    }

    /** Returns the adapter's bytes over the median time of the last half of the rounds, in GB/s. */
    private static double speed(PackedAdapter adapter, Supplier<?> task) {
        long[] nanos = new long[2 * ROUNDS];
        for (int i = 0; i < nanos.length; ++i) {
            long start = System.nanoTime();
            if (task.get() == null) {
                throw new AssertionError("nothing came back");
            }
            nanos[i] = System.nanoTime() - start;
        }
        Arrays.sort(nanos, ROUNDS, 2 * ROUNDS);
        return (double) adapter.bytes() / nanos[ROUNDS + ROUNDS / 2];
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
