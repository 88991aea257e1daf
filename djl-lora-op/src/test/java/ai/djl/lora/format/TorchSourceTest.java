/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TorchSourceTest {

    private static final Path GOLDENS = Path.of("../src/test/resources/goldens/torch");
    private static final FormatLimits LIMITS = FormatLimits.DEFAULTS;

    private TempDirectory temp;

    @BeforeClass
    public void setUp() throws IOException {
        temp = new TempDirectory();
    }

    @AfterClass
    public void tearDown() throws IOException {
        temp.close();
    }

    @DataProvider
    public Object[][] files() {
        return new Object[][] {
            {"zip.bin"}, {"legacy.bin"}, {"zip-protocol4.bin"}, {"legacy-protocol5.bin"}
        };
    }

    /** Views, parameters, shared storages, a module's state dict, and every type. */
    @Test(dataProvider = "files")
    public void tensorsOfEveryTypeAndLayoutAreThoseOfTorch(String file) {
        Path path = GOLDENS.resolve(file);
        try (SafetensorsFile expected =
                        SafetensorsFile.open(GOLDENS.resolve("expected.safetensors"));
                TorchSource source = TorchSource.open(path, LIMITS)) {
            assertEquals(source.path(), path);
            assertEquals(source.tensors().keySet(), expected.tensors().keySet());
            assertEquals(
                    source.tensors().keySet().iterator().next(), "q.weight", "the dict's order");
            for (TensorInfo tensor : expected.tensors().values()) {
                TensorInfo found = source.tensors().get(tensor.name());
                assertEquals(found.type(), tensor.type(), tensor.name());
                assertEquals(found.shape(), tensor.shape(), tensor.name());
                assertEquals(found.size(), tensor.size(), tensor.name());
                assertEquals(source.read(found), expected.read(tensor), tensor.name());
                ByteArrayOutputStream streamed = new ByteArrayOutputStream();
                source.stream(
                        found,
                        chunk -> {
                            while (chunk.hasRemaining()) {
                                streamed.write(chunk.get());
                            }
                        });
                assertEquals(streamed.toByteArray(), expected.read(tensor), tensor.name());
            }
        }
    }

    @Test
    public void tensorOfAnotherSourceIsRefused() {
        try (TorchSource source = TorchSource.open(GOLDENS.resolve("zip.bin"), LIMITS)) {
            TensorInfo other =
                    new TensorInfo("q.weight", SafetensorsType.F32, new long[] {3, 5}, 0, 60);
            assertThrows(IllegalArgumentException.class, () -> source.read(other));
        }
    }

    @DataProvider
    public Object[][] globals() {
        return new Object[][] {
            {"os", "system"},
            {"posix", "system"},
            {"builtins", "eval"},
            {"__builtin__", "getattr"},
            {"torch.storage", "_load_from_bytes"},
            {"torch", "load"},
            {"torch._utils", "_rebuild_tensor_v3"},
            {"torch.nn.modules.linear", "Linear"},
            {"collections", "OrderedDict.__reduce__"},
            {"numpy.core.multiarray", "_reconstruct"},
            {"torch", "ComplexFloatStorage"},
        };
    }

    @Test(dataProvider = "globals")
    public void everyOtherNameIsRefusedByName(String module, String name) throws IOException {
        refused(
                pickle -> pickle.global(module, name).ops(")R"),
                "the pickle asks for \"" + module + '.' + name + "\", which is not run");
        refused(
                pickle -> pickle.text(module).text(name).raw(0x93),
                "the pickle asks for \"" + module + '.' + name + "\", which is not run");
    }

    @DataProvider
    public Object[][] wrongPrograms() {
        return new Object[][] {
            program("i os\nsystem\n", "holds the instruction \"i\""),
            program("o", "holds the instruction \"o\""),
            program("\u0081", "holds the instruction 0x81"),
            program("\u0082\1", "holds the instruction 0x82"),
            program("C\0", "holds the instruction \"C\""),
            program("\u008f", "holds the instruction 0x8f"),
            program("P1\n", "holds the instruction \"P\""),
            program("\u0080\6", "the pickle's protocol is 6, allowed are 0 to 5"),
            program("0", "the pickle takes from an empty stack at byte"),
            program("(0", "the pickle takes from an empty stack"),
            program("t", "the pickle takes a mark that it has not set"),
            program("(", "the pickle takes from an empty stack"),
            program("h\7", "the pickle takes out what it has not put away: number 7"),
            program("Inothing\n", "the pickle holds \"nothing\" in place of a whole number"),
            program("Lnothing\n", "the pickle holds \"nothing\" in place of a whole number"),
            program("2", "holds the instruction \"2\""),
            program("(d", "holds the instruction \"d\""),
            program("F1\n", "holds the instruction \"F\""),
            program("U\1a", "holds the instruction \"U\""),
            program("I" + "1".repeat(65) + "\n", "has more than 64 characters"),
            program("c" + "x".repeat(257) + "\n", "has more than 256 characters"),
            program("\u008a\u00ff", "holds a number of 255 bytes, allowed are 64"),
            program("NNa", "the pickle appends to None, expected a list"),
            program("NK\1K\1s", "the pickle puts an item into None, expected a dict"),
            program("}(K\1u", "puts a key without a value into a dict"),
            program("}]Ns", "has a list as the key of a dict"),
            program("}K\1Ns" + "K\1Ns", "the key \"1\" occurs twice in a dict"),
            program("N)R", "the pickle calls None, which is not run"),
            program("ccollections\nOrderedDict\nNR", "OrderedDict with None, expected a tuple"),
            program("ccollections\nOrderedDict\nN\u0085R", "with 1 arguments, expected none"),
            program("ctorch\nFloatStorage\n)R", "calls torch.FloatStorage, expected it as"),
            program("ctorch._utils\n_rebuild_parameter\n)R", "_rebuild_parameter with other"),
            program("ctorch._utils\n_rebuild_tensor_v2\n)R", "makes a tensor of other values"),
            program("}Nb", "the pickle gives attributes to a dict"),
            program(
                    "ccollections\nOrderedDict\n)R}\u008c\1xNsb",
                    "gives attributes to a dict, allowed"),
            program("NN\u0093", "names something by None and None, expected two strings"),
            program("NQ", "describes a storage by None, expected a tuple"),
            program(")Q", "describes a storage by other values than"),
            program("X\u00ff\u00ff\u00ff\u00ff", "a string of the pickle at byte"),
            program("X\3\0\0\0\u00ff\u00ff\u00ff", "is not UTF-8"),
            program("X\3\0\0\0a", "bytes are needed from byte"),
            program("\u008d\0\0\0\0\0\0\0\u0080", "has 9223372036854775808 bytes, allowed are"),
        };
    }

    private static Object[] program(String code, String message) {
        return new Object[] {code, message};
    }

    @Test(dataProvider = "wrongPrograms")
    public void wrongProgramsAreRefused(String code, String message) throws IOException {
        refused(pickle -> pickle.ops(code), message);
    }

    @DataProvider
    public Object[][] wrongTensors() {
        return new Object[][] {
            {24, 0, new long[] {5, 5}, new long[] {5, 1}, "reaches from element 0 to 24, but"},
            {
                24,
                1,
                new long[] {4, 6},
                new long[] {6, 1},
                "from element 1 to 24, but the storage has"
            },
            {24, -1, new long[] {2}, new long[] {1}, "reaches from element -1"},
            {24, 25, new long[] {0}, new long[] {1}, "reaches from element 25"},
            {24, 0, new long[] {24}, new long[] {0}, "one element of the storage in several"},
            {24, 0, new long[] {3, 3}, new long[] {2, 1}, "one element of the storage in several"},
            {24, 0, new long[] {2, 2}, new long[] {2}, "has 2 dimensions and 1 strides"},
            {24, 0, new long[] {-2}, new long[] {1}, "has the number -2 among its sizes"},
            {24, 0, new long[] {2}, new long[] {-1}, "has the number -1 among its sizes"},
            {24, 0, new long[65], new long[65], "has 65 dimensions, allowed are 64"},
            {24, 0, new long[] {1L << 40, 1L << 40}, new long[] {1, 1}, "larger than any can be"},
            {24, 0, new long[] {1L << 40}, new long[] {1L << 40}, "larger than any can be"},
            {1L << 62, 0, new long[] {1}, new long[] {1}, "which is more than there can be"},
        };
    }

    @Test(dataProvider = "wrongTensors")
    public void tensorsOutsideTheirStorageAreRefused(
            long count, long offset, long[] shape, long[] strides, String message)
            throws IOException {
        refused(
                pickle -> pickle.tensor("FloatStorage", "0", count, offset, shape, strides),
                message);
    }

    @Test
    public void storagesAreOfOneTypeAndSize() throws IOException {
        Consumer<PickleWriter> first = p -> p.storage("FloatStorage", "0", 24).ops("0");
        refused(
                p -> {
                    first.accept(p);
                    p.storage("HalfStorage", "0", 24);
                },
                "storage \"0\" has 24 elements of type F32 in one place and 24 of type F16");
        refused(
                p -> {
                    first.accept(p);
                    p.storage("FloatStorage", "0", 23);
                },
                "and 23 of type F32 in another");
        refused(p -> p.storage("FloatStorage", "0", -1), "describes a storage by other values");
    }

    @Test
    public void dictOfTensorsAloneIsRead() throws IOException {
        refusedWhole(new PickleWriter().ops("]."), "the file holds a list, expected a dict");
        refusedWhole(
                new PickleWriter().ops("}").text("a").number(3).ops("s."),
                "under the name \"a\" is the number 3, expected a tensor");
        refusedWhole(
                new PickleWriter().ops("}").number(3).none().ops("s."),
                "the dict has the key \"3\", expected names");
        refusedWhole(new PickleWriter().ops("}.N"), "1 bytes follow the pickle in data.pkl");
        refusedWhole(new PickleWriter().ops("}N."), "the pickle ends with 1 values left over");
        refusedWhole(new PickleWriter().ops("}"), "the data ends at byte");
    }

    @Test
    public void valuesThatContainThemselvesDoNoHarm() throws IOException {
        refused(p -> p.ops("]q\0h\0a"), "under the name \"x\" is a list, expected a tensor");
        refused(p -> p.ops("}q\0K\1h\0s"), "under the name \"x\" is a dict, expected a tensor");
    }

    @Test
    public void smallProgramsCannotFillTheMemory() throws IOException {
        refused(p -> p.ops("}".repeat((1 << 20) + 1)), "stack holds more than 1048576 values");
        refused(p -> p.ops("(".repeat((1 << 20) + 1)), "stack holds more than 1048576 marks");
        refused(p -> p.ops("}0".repeat(1 << 22)), "makes more than 4194304 values");
        refused(p -> p.ops("]" + "]a".repeat(1 << 22)), "makes more than 4194304 values");
        // tuples of tuples, each twice in the next: 2^64 elements to whoever walked through them
        refused(p -> p.ops(")" + "q\0h\0\u0086".repeat(64)), "is a tuple, expected a tensor");
    }

    @Test
    public void limitsAreHeldBeforeDataIsRead() throws IOException {
        Path file =
                tensors(p -> p.tensor("FloatStorage", "0", 24, 0, new long[] {24}, new long[] {1}));
        assertRefused(
                file,
                new FormatLimits(95, 1, 1 << 20, 1, 1, 1),
                "with tensor \"x\" the tensors have 96 bytes, allowed are 95");
        assertRefused(
                file, new FormatLimits(96, 1, 40, 1, 1, 1), "the archive's directory takes more");
        TorchSource.open(file, new FormatLimits(96, 1, 1 << 20, 1, 1, 1)).close();
        Path longer = tensors(p -> p.ops("N0".repeat(400)));
        assertRefused(
                longer, new FormatLimits(96, 1, 600, 1, 1, 1), "data.pkl has 811 bytes, allowed");
        Path legacy = GOLDENS.resolve("legacy.bin");
        assertRefused(legacy, new FormatLimits(1 << 20, 3, 1 << 20, 1, 1, 1), "allowed are 3");
        assertRefused(
                legacy, new FormatLimits(1 << 20, 99, 400, 1, 1, 1), "the data ends at byte 400");
    }

    @Test
    public void storageMayBeSharedButNotWithoutEnd() throws IOException {
        long count = 1 << 16;
        PickleWriter pickle = new PickleWriter().ops("}");
        for (int i = 0; i < 60; i++) {
            pickle.text("t" + i);
            pickle.tensor("FloatStorage", "0", count, 0, new long[] {count}, new long[] {1})
                    .ops("s");
        }
        Map<String, byte[]> entries = new LinkedHashMap<>();
        entries.put("a/data.pkl", pickle.ops(".").toByteArray());
        entries.put("a/data/0", new byte[(int) count * 4]);
        Path file = zip(entries, ZipEntry.STORED);
        TorchSource.open(file, LIMITS).close();

        assertRefused(
                file,
                new FormatLimits(1 << 30, 99, 1 << 20, 1, 1, 10),
                "the tensors share storages so often that they have 15728640 bytes");
    }

    @Test
    public void largeTensorsAreStreamedInChunksOfAtMostAMebibyte() throws IOException {
        int rows = 1000;
        int columns = 700;
        long count = (long) rows * columns;
        PickleWriter pickle = new PickleWriter().ops("}").text("plain");
        pickle.tensor("IntStorage", "0", count, 0, new long[] {count}, new long[] {1});
        pickle.ops("s").text("transposed");
        pickle.tensor(
                "IntStorage", "0", count, 0, new long[] {columns, rows}, new long[] {1, columns});
        ByteBuffer data = ByteBuffer.allocate((int) count * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            data.putInt(i);
        }
        Map<String, byte[]> entries = new LinkedHashMap<>();
        entries.put("a/data.pkl", pickle.ops("s.").toByteArray());
        entries.put("a/data/0", data.array());
        try (TorchSource source = TorchSource.open(zip(entries, ZipEntry.STORED), LIMITS)) {
            for (TensorInfo tensor : source.tensors().values()) {
                ByteBuffer streamed = ByteBuffer.allocate((int) tensor.size());
                source.stream(
                        tensor,
                        chunk -> {
                            assertTrue(chunk.isReadOnly() && chunk.remaining() <= 1 << 20);
                            streamed.put(chunk);
                        });
                assertEquals(source.read(tensor), streamed.array());
                streamed.flip().order(ByteOrder.LITTLE_ENDIAN);
                for (int i = 0; i < count; i++) {
                    int expected =
                            tensor.name().equals("plain") ? i : i % rows * columns + i / rows;
                    assertEquals(streamed.getInt(), expected);
                }
            }
        }
    }

    @Test
    public void zipArchiveMustBeTorchs() throws IOException {
        byte[] pickle = new PickleWriter().ops("}.").toByteArray();
        assertRefused(zip(Map.of("a/x", pickle), ZipEntry.STORED), LIMITS, "holds no data.pkl");
        assertRefused(zip(Map.of("data.pkl", pickle), ZipEntry.STORED), LIMITS, "no data.pkl");
        assertRefused(
                zip(Map.of("a/data.pkl", pickle, "b/data.pkl", pickle), ZipEntry.STORED),
                LIMITS,
                "holds more than one data.pkl");
        assertRefused(
                zip(Map.of("a/data.pkl", pickle, "a/constants.pkl", pickle), ZipEntry.STORED),
                LIMITS,
                "this is a TorchScript program");
        assertRefused(
                zip(Map.of("a/data.pkl", pickle), ZipEntry.DEFLATED),
                LIMITS,
                "entry \"a/data.pkl\" is compressed or encrypted");
        assertRefused(
                zip(Map.of("a/data.pkl", pickle, "a/byteorder", "big".getBytes()), ZipEntry.STORED),
                LIMITS,
                "the byte order is \"big\", expected \"little\"");
    }

    @Test
    public void storagesOfAZipMustBeThere() throws IOException {
        byte[] pickle =
                new PickleWriter()
                        .ops("}")
                        .text("x")
                        .tensor("FloatStorage", "7", 2, 0, new long[] {2}, new long[] {1})
                        .ops("s.")
                        .toByteArray();
        assertRefused(
                zip(Map.of("a/data.pkl", pickle), ZipEntry.STORED),
                LIMITS,
                "storage \"a/data/7\" is named by the pickle and missing");
        assertRefused(
                zip(Map.of("a/data.pkl", pickle, "a/data/7", new byte[9]), ZipEntry.STORED),
                LIMITS,
                "storage \"a/data/7\" has 9 bytes, but the pickle says 8");
    }

    @Test
    public void truncatedFilesAreRefused() throws IOException {
        for (String name : List.of("zip.bin", "legacy.bin")) {
            byte[] whole = Files.readAllBytes(GOLDENS.resolve(name));
            for (int length = 0; length < whole.length; length += 1 + length / 16) {
                Path file = temp.path().resolve("cut.bin");
                Files.write(file, Arrays.copyOf(whole, length));
                assertRefused(file, LIMITS, "");
            }
        }
    }

    @Test
    public void fileThatIsCutOffWhileItIsOpenIsNoticed() throws IOException {
        byte[] whole = Files.readAllBytes(GOLDENS.resolve("legacy.bin"));
        Path file = temp.path().resolve("shrinks.bin");
        Files.write(file, whole);
        try (TorchSource source = TorchSource.open(file, LIMITS)) {
            Files.write(file, Arrays.copyOf(whole, 100));
            TensorInfo tensor = source.tensors().get("views.whole");
            LoraConfigurationException e =
                    expectThrows(LoraConfigurationException.class, () -> source.read(tensor));
            assertTrue(e.getMessage().contains("though it had"), e.getMessage());
        }
    }

    @Test
    public void otherFilesAreRefused() throws IOException {
        assertRefused(
                temp.write("text.bin", "version https://git-lfs.github.com/spec/v1"),
                LIMITS,
                "expected a zip archive or a pickle, as torch.save writes, found neither");
        assertRefused(
                Files.write(
                        temp.path().resolve("other.bin"),
                        new PickleWriter().protocol(2).ops("}.").toByteArray()),
                LIMITS,
                "expected a file that torch.save wrote, found another pickle");
    }

    @Test
    public void legacyFilesAreCheckedPartByPart() throws IOException {
        assertRefused(legacy(1002, true, p -> p.ops("}"), "[]"), LIMITS, "version is not 1001");
        assertRefused(legacy(1001, false, p -> p.ops("}"), "[]"), LIMITS, "little endian");
        assertRefused(legacy(1001, true, p -> p.ops("}"), "N"), LIMITS, "keys is missing");
        Consumer<PickleWriter> one =
                p -> {
                    p.ops("}").text("x");
                    p.tensor("FloatStorage", "k", 1, 0, new long[] {1}, new long[] {1}).ops("s");
                };
        assertRefused(legacy(1001, true, one, "[]"), LIMITS, "storage \"k\" is not in the file");
        assertRefused(legacy(1001, true, one, "[j]"), LIMITS, "has \"j\", which no tensor uses");
        assertRefused(
                legacy(1001, true, one, "[k]", 2, 0, 0),
                LIMITS,
                "storage \"k\" has 2 elements, but the pickle says 1");
        assertRefused(
                legacy(1001, true, one, "[kk]", 1, 0, 1, 0),
                LIMITS,
                "storage \"k\" occurs twice in the file");
        assertRefused(
                legacy(1001, true, one, "[k]", 1, 0, 0), LIMITS, "4 bytes follow the last storage");
        assertRefused(legacy(1001, true, one, "[k]", 1), LIMITS, "bytes are needed from byte");
        try (TorchSource source = TorchSource.open(legacy(1001, true, one, "[k]", 1, 77), LIMITS)) {
            assertEquals(source.read(source.tensors().get("x")), new byte[] {77, 0, 0, 0});
        }
    }

    /** Writes an old file; of the numbers the even ones are counts in eight bytes. */
    private Path legacy(
            long version, boolean little, Consumer<PickleWriter> state, String keys, int... tail)
            throws IOException {
        PickleWriter file = new PickleWriter();
        file.protocol(2).raw(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19);
        file.ops(".")
                .protocol(2)
                .number(version)
                .ops(".")
                .protocol(2)
                .ops("}")
                .text("little_endian");
        file.bool(little).ops("s.").protocol(2);
        state.accept(file);
        file.ops(".").protocol(2);
        for (char c : keys.toCharArray()) {
            switch (c) {
                case '[' -> file.ops("]");
                case ']' -> file.ops("");
                case 'N' -> file.none();
                default -> file.text(String.valueOf(c)).ops("a");
            }
        }
        file.ops(".");
        for (int i = 0; i < tail.length; i++) {
            if (i % 2 == 0 && i + 1 < tail.length || i == 0) {
                file.int64(tail[i]);
            } else {
                file.int32(tail[i]);
            }
        }
        return Files.write(temp.path().resolve("legacy.bin"), file.toByteArray());
    }

    /** Puts what a program makes under the name x. */
    private Path tensors(Consumer<PickleWriter> program) throws IOException {
        PickleWriter pickle = new PickleWriter().protocol(2).ops("}").text("x");
        program.accept(pickle);
        Map<String, byte[]> entries = new LinkedHashMap<>();
        entries.put("archive/data.pkl", pickle.ops("s.").toByteArray());
        entries.put("archive/data/0", new byte[96]);
        return zip(entries, ZipEntry.STORED);
    }

    private void refused(Consumer<PickleWriter> program, String message) throws IOException {
        assertRefused(tensors(program), LIMITS, message);
    }

    private void refusedWhole(PickleWriter pickle, String message) throws IOException {
        assertRefused(
                zip(Map.of("a/data.pkl", pickle.toByteArray()), ZipEntry.STORED), LIMITS, message);
    }

    private Path zip(Map<String, byte[]> entries, int method) throws IOException {
        Path file = temp.path().resolve("made.bin");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (Map.Entry<String, byte[]> each : entries.entrySet()) {
                ZipEntry entry = new ZipEntry(each.getKey());
                entry.setMethod(method);
                if (method == ZipEntry.STORED) {
                    entry.setSize(each.getValue().length);
                    CRC32 crc = new CRC32();
                    crc.update(each.getValue());
                    entry.setCrc(crc.getValue());
                }
                zip.putNextEntry(entry);
                zip.write(each.getValue());
                zip.closeEntry();
            }
        }
        return file;
    }

    private static void assertRefused(Path file, FormatLimits limits, String message) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () -> {
                            try (TorchSource source = TorchSource.open(file, limits)) {
                                throw new AssertionError("opened " + source.tensors());
                            }
                        });
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().contains(file.getFileName().toString()), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }
}
