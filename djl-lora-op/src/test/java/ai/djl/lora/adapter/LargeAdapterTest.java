/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.TempDirectory;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** An adapter of 200 MB is validated in little memory, and its bytes are read once. */
public class LargeAdapterTest {

    private static final int RANK = 64;
    private static final int FEATURES = 409_600;
    private static final long BYTES = 2L * RANK * FEATURES * Float.BYTES;

    /** What the JVM may take for its heap and its buffers, in MiB; 64 together. */
    private static final String HEAP = "-Xmx56m";

    private static final String BUFFERS = "-XX:MaxDirectMemorySize=8m";

    /** The process's own files are read as well: a line of /proc, a few classes. */
    private static final long ALLOWED_MORE = 1 << 20;

    /** Validates the adapters in two folders, and tells how much was read for the second. */
    public static final class Probe {

        private Probe() {}

        public static void main(String[] args) throws IOException {
            System.out.println(validate(Path.of(args[0]), 1).compatibility());
            long before = bytesRead();
            LoadReport report = validate(Path.of(args[1]), FEATURES);
            System.out.println(report.compatibility());
            System.out.println(bytesRead() - before);
        }

        private static LoadReport validate(Path folder, int features) {
            ModelLayout layout =
                    new ModelLayout(List.of(new LoraModule(0, "m.w", features, features)));
            return AdapterLoader.validate(folder, layout, LoadingPolicy.STRICT);
        }

        private static long bytesRead() throws IOException {
            return Files.readAllLines(Path.of("/proc/self/io")).stream()
                    .filter(line -> line.startsWith("rchar: "))
                    .mapToLong(line -> Long.parseLong(line.substring("rchar: ".length())))
                    .findFirst()
                    .orElseThrow();
        }
    }

    @Test(timeOut = 300_000)
    public void isValidatedInLittleMemoryAndReadOnce() throws Exception {
        if (!Files.exists(Path.of("/proc/self/io"))) {
            throw new SkipException("there is no /proc/self/io on this system");
        }
        assertTrue(BYTES >= 200_000_000, BYTES + " bytes");
        try (TempDirectory small = new TempDirectory();
                TempDirectory large = new TempDirectory()) {
            write(small, 1);
            write(large, FEATURES);
            Process process =
                    new ProcessBuilder(
                                    ProcessHandle.current().info().command().orElseThrow(),
                                    HEAP,
                                    BUFFERS,
                                    "-cp",
                                    System.getProperty("java.class.path"),
                                    Probe.class.getName(),
                                    small.path().toString(),
                                    large.path().toString())
                            .redirectErrorStream(true)
                            .start();
            String out =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(process.waitFor(1, TimeUnit.MINUTES));
            assertEquals(process.exitValue(), 0, out);
            // what a JVM says where JAVA_TOOL_OPTIONS is set comes first
            List<String> lines =
                    out.lines().filter(line -> !line.startsWith("Picked up ")).toList();
            assertEquals(lines.subList(0, 2), List.of("FULL", "FULL"), out);
            long read = Long.parseLong(lines.get(2));
            assertTrue(read >= BYTES && read <= BYTES + ALLOWED_MORE, read + " of " + BYTES);
        }
    }

    private static void write(TempDirectory directory, int features) throws IOException {
        directory.write(
                PeftConfig.FILE_NAME,
                "{\"peft_type\": \"LORA\", \"r\": 64, \"lora_alpha\": 64, \"target_modules\":"
                        + " [\"w\"]}");
        int bytes = RANK * features * Float.BYTES;
        byte[] header =
                ("{\"m.w.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":["
                                + RANK
                                + ","
                                + features
                                + "],\"data_offsets\":[0,"
                                + bytes
                                + "]},\"m.w.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":["
                                + features
                                + ","
                                + RANK
                                + "],\"data_offsets\":["
                                + bytes
                                + ","
                                + 2L * bytes
                                + "]}}")
                        .getBytes(StandardCharsets.UTF_8);
        ByteBuffer row = ByteBuffer.allocate(features * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < features; i++) {
            row.putFloat(i % 1000 - 500.5f);
        }
        Path file = directory.path().resolve("adapter_model.safetensors");
        try (OutputStream out = Files.newOutputStream(file)) {
            out.write(
                    ByteBuffer.allocate(Long.BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(header.length)
                            .array());
            out.write(header);
            for (int i = 0; i < 2 * RANK; i++) {
                out.write(row.array());
            }
        }
    }
}
