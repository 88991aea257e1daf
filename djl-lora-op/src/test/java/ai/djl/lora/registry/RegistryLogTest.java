/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import static ai.djl.lora.registry.Registries.registration;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.TempDirectory;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** What becomes of a log whose bytes are not those that were written. */
public class RegistryLogTest {

    /* The last step writes the largest record, which fills a block of a disk and more. */
    private static final int STEPS = 13;

    /** A log, where its records begin and end, and what the registry was after each. */
    private record Written(byte[] bytes, List<Integer> ends, List<Registries.Content> contents) {}

    /** Returns a log with a snapshot of some records, followed by changes. */
    private static Written write(Path directory) throws IOException {
        List<Integer> ends = new ArrayList<>();
        List<Registries.Content> contents = new ArrayList<>();
        Path file = directory.resolve("registry.log");
        try (RegistryWriter writer = new RegistryWriter(directory)) {
            for (int i = 0; i < STEPS; ++i) {
                ends.add((int) Files.size(file));
                contents.add(Registries.content(writer.registry));
                writer.step(i);
            }
            ends.add((int) Files.size(file));
            contents.add(Registries.content(writer.registry));
        }
        return new Written(Files.readAllBytes(file), ends, contents);
    }

    /** Makes a log whose first records are a snapshot. */
    private static final class RegistryWriter implements AutoCloseable {

        private final AdapterRegistry registry;

        RegistryWriter(Path directory) throws IOException {
            try (AdapterRegistry fresh =
                    AdapterRegistry.open(
                            directory, Registries.options().optCompactionBytes(1024).build())) {
                fresh.register(registration("s0", 0).build());
                fresh.register(registration("s1", 1).build());
                Path file = directory.resolve("registry.log");
                long size = 0;
                // until the log has shrunk to the two
                for (int i = 0; size <= Files.size(file); ++i) {
                    size = Files.size(file);
                    fresh.setPriority("s1", i + 1);
                }
            }
            registry = Registries.open(directory);
        }

        void step(int i) {
            switch (i % 4) {
                case 0 ->
                        registry.register(
                                registration("a" + i, i).optValidated(new byte[i * 100]).build());
                case 1 -> registry.alias("alias", "a" + (i - 1));
                case 2 -> registry.pin("a" + (i - 2));
                default -> registry.reregister(registration("s0", 1000 + i).build());
            }
        }

        @Override
        public void close() {
            registry.close();
        }
    }

    /** Opens a registry with the given log; returns what it holds, or nothing if it is refused. */
    private static Optional<Registries.Content> open(Path directory, byte[] bytes)
            throws IOException {
        Path file = directory.resolve("registry.log");
        Files.write(file, bytes);
        try (AdapterRegistry registry = Registries.open(directory)) {
            return Optional.of(Registries.content(registry));
        } catch (LoraConfigurationException e) {
            Assert.assertTrue(
                    e.getMessage().contains("registry.log: damaged at byte "), e.getMessage());
            Assert.assertEquals(e.getMessage().lines().count(), 1);
            Assert.assertEquals(Files.readAllBytes(file), bytes, "nothing was changed");
            return Optional.empty();
        }
    }

    @Test
    public void whatWasCutOffAnywhereIsTheStateBefore() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            Written written = write(temp.path());
            int snapshotEnd = written.ends.get(0);
            for (int length = 0; length <= written.bytes.length; ++length) {
                Optional<Registries.Content> found =
                        open(temp.path(), Arrays.copyOf(written.bytes, length));
                if (length < snapshotEnd) {
                    Assert.assertEquals(found, Optional.empty(), "cut at " + length);
                } else {
                    Assert.assertEquals(
                            found.orElseThrow(), stateAt(written, length), "cut at " + length);
                    // it goes on from there
                    Assert.assertEquals(
                            Files.size(temp.path().resolve("registry.log")),
                            endAt(written, length));
                }
            }
        }
    }

    private static Registries.Content stateAt(Written written, int length) {
        return written.contents.get(written.ends.indexOf(endAt(written, length)));
    }

    private static int endAt(Written written, int length) {
        return written.ends.stream().filter(end -> end <= length).reduce((a, b) -> b).orElseThrow();
    }

    @Test
    public void changedByteIsRefusedWhereverItIs() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            Written written = write(temp.path());
            for (int i = 0; i < written.bytes.length; ++i) {
                byte[] changed = written.bytes.clone();
                // another bit each time; one byte in three is changed wholly
                changed[i] ^= (byte) (i % 3 == 0 ? 0xA5 : 1 << (i * 5 % 8));
                Assert.assertEquals(open(temp.path(), changed), Optional.empty(), "byte " + i);
            }
        }
    }

    @Test
    public void blocksThatDidNotReachTheDiskAreCutOffAtTheEndAlone() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            Written written = write(temp.path());
            int block = 512;
            int last = written.ends.get(STEPS - 1);
            int blocks = 0;
            for (int start = 0; start < written.bytes.length; start += block) {
                byte[] changed = written.bytes.clone();
                int end = Math.min(start + block, changed.length);
                Arrays.fill(changed, start, end, (byte) 0);
                Optional<Registries.Content> found = open(temp.path(), changed);
                int record = start < written.ends.get(0) ? -1 : endAt(written, start);
                // whole records in one block that is lost look like one that was cut off there
                boolean lastKnown = record == last || record == start && end > last;
                if (found.isPresent()) {
                    Assert.assertTrue(lastKnown, "block at " + start);
                    Assert.assertEquals(found.get(), stateAt(written, start));
                    ++blocks;
                } else {
                    Assert.assertTrue(record < last, "block at " + start);
                }
            }
            Assert.assertTrue(blocks > 0, "the last record fills no block");
            // all that follows from some point on
            for (int start = last; start < written.bytes.length; ++start) {
                byte[] changed = Arrays.copyOf(written.bytes, start);
                changed = Arrays.copyOf(changed, written.bytes.length);
                Optional<Registries.Content> found = open(temp.path(), changed);
                found.ifPresent(
                        content -> Assert.assertEquals(content, written.contents.get(STEPS - 1)));
                // zeros in a block of which the rest did arrive are no sign of a write cut off
                int firstBlock = (start + block - 1) / block * block;
                boolean lost = start == last || firstBlock < written.bytes.length;
                Assert.assertEquals(found.isPresent(), lost, "zeros from " + start);
            }
        }
    }

    @Test
    public void recordsInAnotherOrderAreRefused() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            Written written = write(temp.path());
            byte[] bytes = written.bytes;
            for (int i = 0; i + 1 < STEPS; ++i) {
                int start = written.ends.get(i);
                int middle = written.ends.get(i + 1);
                int end = written.ends.get(i + 2);
                assertRefused(temp, join(bytes, 0, start, middle, bytes.length), "record left out");
                assertRefused(temp, join(bytes, 0, middle, start, bytes.length), "record twice");
                assertRefused(
                        temp,
                        join(bytes, 0, start, middle, end, start, middle, end, bytes.length),
                        "records swapped");
            }
            assertRefused(temp, join(bytes, 0, bytes.length, 0, 40), "bytes that follow");
        }
    }

    private static void assertRefused(TempDirectory temp, byte[] bytes, String what)
            throws IOException {
        Assert.assertEquals(open(temp.path(), bytes), Optional.empty(), what);
    }

    private static byte[] join(byte[] bytes, int... ranges) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (int i = 0; i < ranges.length; i += 2) {
            joined.write(bytes, ranges[i], ranges[i + 1] - ranges[i]);
        }
        return joined.toByteArray();
    }

    @Test
    public void otherFilesAreRefusedByWhatTheyAre() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path file = temp.write("registry.log", "{\"adapters\": [1, 2, 3, 4, 5, 6, 7, 8]}");
            String begin = file.toRealPath() + ": damaged at byte 0: ";
            String end =
                    "; nothing was changed. Restore the file from a copy, or move it away to begin"
                            + " with an empty registry";
            AdapterRegistryTest.assertRefused(
                    () -> Registries.open(temp.path()),
                    begin + "it does not begin with \"djl-lora\"" + end);
            byte[] header = RecordFormat.fileHeader(new RecordFormat.FileHeader(0, 0));
            Files.write(file, withVersion(header, 2));
            AdapterRegistryTest.assertRefused(
                    () -> Registries.open(temp.path()),
                    begin + "it has version 2, this program reads version 1" + end);
            Files.write(file, header);
            byte[] payload = "{\"x\": 1}".getBytes(StandardCharsets.UTF_8);
            Files.write(file, RecordFormat.record(1, payload), StandardOpenOption.APPEND);
            AdapterRegistryTest.assertRefused(
                    () -> Registries.open(temp.path()),
                    file.toRealPath()
                            + ": damaged at byte 32: change 1 is not as this program writes them:"
                            + " field \"changes\" is missing"
                            + end);
        }
    }

    private static byte[] withVersion(byte[] header, int version) {
        ByteBuffer changed = ByteBuffer.wrap(header.clone()).putInt(8, version);
        CRC32C crc = new CRC32C();
        crc.update(changed.array(), 0, 28);
        return changed.putInt(28, (int) crc.getValue()).array();
    }

    @Test
    public void halfOfACompactionIsForgotten() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            Written written = write(temp.path());
            Path fresh = temp.path().resolve("registry.log.new");
            for (int length : new int[] {0, 10, written.bytes.length / 2, written.bytes.length}) {
                Files.write(fresh, Arrays.copyOf(written.bytes, length));
                try (AdapterRegistry registry = Registries.open(temp.path())) {
                    Assert.assertEquals(Registries.content(registry), written.contents.get(STEPS));
                }
                Assert.assertTrue(Files.notExists(fresh));
            }
        }
    }

    @Test
    public void compactionThatFailsLosesNothing() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            RegistryOptions options = Registries.options().optCompactionBytes(1024).build();
            // a folder in the place of the new file is a disk that does not take it
            Path blocked = temp.path().resolve("registry.log.new");
            Registries.Content content;
            try (AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
                Files.createDirectory(blocked);
                for (int i = 0; i < 20; ++i) {
                    registry.register(registration("a" + i, i).build());
                }
                content = Registries.content(registry);
                Files.delete(blocked);
                Assert.assertTrue(Files.size(temp.path().resolve("registry.log")) > 4_096);
            }
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                Assert.assertEquals(Registries.content(registry), content);
            }
        }
    }

    @Test
    public void interruptedThreadWritesAsAnyOther() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            RegistryOptions options = Registries.options().optCompactionBytes(1024).build();
            try (AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
                Thread.currentThread().interrupt();
                for (int i = 0; i < 20; ++i) {
                    registry.register(registration("a" + i, i).build());
                    Assert.assertTrue(Thread.currentThread().isInterrupted());
                }
            } finally {
                Assert.assertTrue(Thread.interrupted());
            }
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                Assert.assertEquals(registry.size(), 20);
            }
        }
    }

    @Test
    public void secondWriterIsRefused() throws IOException, InterruptedException {
        try (TempDirectory temp = new TempDirectory()) {
            String inUse = temp.path().toRealPath() + ": the registry is in use by ";
            String one = "; one process at a time may write it";
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                registry.register(registration("a", 1).build());
                AdapterRegistryTest.assertRefused(
                        () -> Registries.open(temp.path()), inUse + "this process" + one);
                // the attempt must not have given the lock up
                Assert.assertEquals(
                        output(ChildProcess.start(TryToOpen.class, List.of(), temp.path())),
                        inUse + "process " + ProcessHandle.current().pid() + one);
            }
            Process process =
                    ChildProcess.start(RegistrySteps.class, List.of(), temp.path(), 65_536);
            try (BufferedReader reader = process.inputReader(StandardCharsets.US_ASCII)) {
                Assert.assertNotNull(reader.readLine());
                AdapterRegistryTest.assertRefused(
                        () -> Registries.open(temp.path()),
                        inUse + "process " + process.pid() + one);
            } finally {
                process.destroyForcibly().waitFor();
            }
            Registries.open(temp.path()).close();
        }
    }

    /** Opens a registry and prints why that was refused. */
    static final class TryToOpen {

        private TryToOpen() {}

        public static void main(String[] args) {
            try (AdapterRegistry registry = Registries.open(Path.of(args[0]))) {
                System.out.println("opened with " + registry.size());
            } catch (LoraConfigurationException e) {
                System.out.println(e.getMessage());
            }
        }
    }

    @Test
    public void fullDiskRefusesTheChangeAndLosesNothing() throws IOException, InterruptedException {
        if (!Files.isExecutable(Path.of("/bin/sh"))) {
            throw new SkipException("needs a shell to limit how large files may be");
        }
        try (TempDirectory temp = new TempDirectory()) {
            Path directory = temp.path().resolve("registry");
            // files of 64 blocks of 512 bytes, as if the disk had no more
            List<String> limit = List.of("/bin/sh", "-c", "ulimit -f 64; exec \"$0\" \"$@\"");
            String text = output(ChildProcess.start(FillTheDisk.class, limit, directory));
            String[] lines = text.split("\n");
            int made = Integer.parseInt(lines[0]);
            Assert.assertTrue(made > 10, text);
            Assert.assertTrue(
                    lines[1].startsWith(
                            directory.toRealPath().resolve("registry.log")
                                    + ": cannot be written, the change was not made: "),
                    text);
            Assert.assertEquals(lines[2], made - 1 + " left");
            try (AdapterRegistry registry = Registries.open(directory)) {
                Assert.assertEquals(registry.size(), made - 1);
                Assert.assertEquals(registry.find("a0"), Optional.empty());
                Assert.assertEquals(registry.sequence(), made + 1);
            }
        }
    }

    /** Registers adapters until the disk is full. */
    static final class FillTheDisk {

        private FillTheDisk() {}

        public static void main(String[] args) {
            try (AdapterRegistry registry = Registries.open(Path.of(args[0]))) {
                int made = 0;
                while (true) {
                    try {
                        registry.register(
                                registration("a" + made, made)
                                        .optValidated(new byte[1000])
                                        .build());
                        ++made;
                    } catch (LoraException e) {
                        System.out.println(made);
                        System.out.println(e.getMessage());
                        break;
                    }
                }
                // what was taken back leaves room for a change that is shorter
                registry.unregister("a0");
                System.out.println(registry.size() + " left");
            }
        }
    }

    private static String output(Process process) throws IOException, InterruptedException {
        String text =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        Assert.assertEquals(process.waitFor(), 0, text);
        return text;
    }
}
