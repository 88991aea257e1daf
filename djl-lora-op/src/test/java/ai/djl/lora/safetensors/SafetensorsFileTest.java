/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class SafetensorsFileTest {

    private static final String TWO =
            "{\"b\": {\"dtype\": \"F16\", \"shape\": [2, 1], \"data_offsets\": [4, 8]},"
                    + " \"a\": {\"shape\": [], \"data_offsets\": [0, 4], \"dtype\": \"F32\"},"
                    + " \"none\": {\"dtype\": \"I64\", \"shape\": [3, 0], \"data_offsets\": [8, 8]},"
                    + " \"__metadata__\": {\"format\": \"pt\"}}   ";

    private TempDirectory directory;
    private Path path;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new TempDirectory();
        path = directory.path().resolve("x.safetensors");
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    @Test
    public void readsWhatWasWritten() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[] {0, 0, (byte) 0x80, 0x3f, 1, 2, 3, 4});
        ByteBuffer mapped;
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertEquals(file.path(), path);
            assertEquals(file.metadata(), Map.of("format", "pt"));
            assertEquals(List.copyOf(file.tensors().keySet()), List.of("a", "b", "none"));
            TensorInfo a = file.tensor("a");
            assertEquals(a.toString(), "a F32 []");
            assertEquals(a.size(), 4);
            assertEquals(file.read(a), new byte[] {0, 0, (byte) 0x80, 0x3f});
            TensorInfo b = file.tensor("b");
            assertEquals(b.shape(), new long[] {2, 1});
            assertEquals(b.offset(), a.offset() + 4);
            assertEquals(file.read(b), new byte[] {1, 2, 3, 4});
            assertEquals(file.read(file.tensor("none")), new byte[0]);
            assertEquals(file.map(file.tensor("none")).remaining(), 0);
            mapped = file.map(a);
        }
        assertTrue(mapped.isDirect() && mapped.isReadOnly());
        assertEquals(mapped.order(), ByteOrder.LITTLE_ENDIAN);
        assertEquals(mapped.remaining(), 4);
        assertEquals(mapped.getFloat(0), 1f);
    }

    @Test
    public void readsAnEmptyFileOfTensors() throws IOException {
        SafetensorsWriter.write(path, "{}", new byte[0]);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertTrue(file.tensors().isEmpty());
            assertTrue(file.metadata().isEmpty());
        }
    }

    @Test
    public void readsMoreThanOneChunk() throws IOException {
        byte[] data = new byte[(2 << 20) + 12345];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * 31 >> 3);
        }
        SafetensorsWriter.write(path, tensor("U8", data.length + "", 0, data.length), data);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertEquals(file.read(file.tensor("a")), data);
        }
    }

    private static String tensor(String type, String shape, long begin, long end) {
        return "{\"a\":" + entry("\"" + type + "\"", "[" + shape + "]", begin + "," + end) + "}";
    }

    private static String entry(String type, String shape, String offsets) {
        return "{\"dtype\":"
                + type
                + ",\"shape\":"
                + shape
                + ",\"data_offsets\":["
                + offsets
                + "]}";
    }

    /** A header, the size of the data behind it, and what the reader must say of it. */
    @DataProvider
    public Object[][] hostileHeaders() {
        String a = entry("\"F32\"", "[1]", "0,4");
        String types =
                "BOOL, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, I16, U16, F16, BF16, I32, U32, F32, C64,"
                        + " F64, I64, U64";
        return new Object[][] {
            {"", 0, "the header must begin with {, found \"\""},
            {" {}", 0, "the header must begin with {, found \" {}\""},
            {"[]", 0, "the header must begin with {, found \"[]\""},
            {"\u0000\u0000", 0, "the header must begin with {, found \"\\u0000\\u0000\""},
            {"{", 0, "the header's JSON ends too early"},
            {"{} x", 0, "the header is not JSON: malformed at line 1 column 5 path $"},
            {"{}{}", 0, "the header is not JSON: malformed at line 1 column 4 path $"},
            {"{'a':1}", 0, "the header is not JSON: malformed at line 1 column 3 path $."},
            {"{\"a\":" + a + ",\"a\":" + a + "}", 4, "tensor \"a\" occurs twice in the header"},
            {"{\"a\":null}", 0, "tensor \"a\" must be an object, found null"},
            {"{\"a\":[1]}", 0, "tensor \"a\" must be an object, found an array"},
            {"{\"a\":{}}", 0, "tensor \"a\": dtype is missing"},
            {"{\"a\":{\"dtype\":\"F32\"}}", 0, "tensor \"a\": shape is missing"},
            {
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}",
                0,
                "tensor \"a\": data_offsets is missing"
            },
            {
                "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}",
                0,
                "tensor \"a\": dtype occurs twice"
            },
            {"{\"a\":{\"shape\":[],\"shape\":[]}}", 0, "tensor \"a\": shape occurs twice"},
            {
                "{\"a\":{\"kind\":1}}",
                0,
                "tensor \"a\": unknown field \"kind\", allowed are dtype, shape, data_offsets"
            },
            {
                tensor("F31", "1", 0, 4),
                4,
                "tensor \"a\": unknown dtype \"F31\", allowed are " + types
            },
            {
                tensor("f32", "1", 0, 4),
                4,
                "tensor \"a\": unknown dtype \"f32\", allowed are " + types
            },
            {
                "{\"a\":" + entry("32", "[1]", "0,4") + "}",
                4,
                "tensor \"a\": dtype must be a string, found a number"
            },
            {
                "{\"a\":" + entry("\"F32\"", "1", "0,4") + "}",
                4,
                "tensor \"a\": shape must be an array, found a number"
            },
            {
                tensor("F32", "-1", 0, 4),
                4,
                "tensor \"a\": shape[0] must be a whole number from 0 to 2^63 - 1, found \"-1\""
            },
            {
                tensor("F32", "1, 1.0", 0, 4),
                4,
                "tensor \"a\": shape[1] must be a whole number from 0 to 2^63 - 1, found \"1.0\""
            },
            {
                tensor("F32", "18446744073709551617", 0, 4),
                4,
                "tensor \"a\": shape[0] must be a whole number from 0 to 2^63 - 1, found"
                        + " \"18446744073709551617\""
            },
            {
                tensor("F32", "\"1\"", 0, 4),
                4,
                "tensor \"a\": shape[0] must be a number, found a string"
            },
            {
                tensor("F32", "2147483648,2147483648", 0, 0),
                0,
                "tensor \"a\": the size of shape [2147483648, 2147483648] overflows"
            },
            {
                tensor("F32", "9223372036854775807,2,0", 0, 0),
                0,
                "tensor \"a\": the size of shape [9223372036854775807, 2, 0] overflows"
            },
            {
                "{\"a\":" + entry("\"F32\"", "[1]", "0") + "}",
                4,
                "tensor \"a\": data_offsets must be two numbers, found 1"
            },
            {
                "{\"a\":" + entry("\"F32\"", "[1]", "0,4,8") + "}",
                8,
                "tensor \"a\": data_offsets must be two numbers, found 3"
            },
            {
                tensor("F32", "1", -4, 0),
                4,
                "tensor \"a\": data_offsets[0] must be a whole number from 0 to 2^63 - 1, found"
                        + " \"-4\""
            },
            {
                tensor("F32", "1", 4, 0),
                8,
                "tensor \"a\": data_offsets [4, 0] must rise and lie within the file's 8 bytes of"
                        + " data"
            },
            {
                tensor("F32", "2", 0, 8),
                7,
                "tensor \"a\": data_offsets [0, 8] must rise and lie within the file's 7 bytes of"
                        + " data"
            },
            {
                tensor("F32", "1", 9223372036854775803L, 9223372036854775807L),
                4,
                "tensor \"a\": data_offsets [9223372036854775803, 9223372036854775807] must rise"
                        + " and lie within the file's 4 bytes of data"
            },
            {
                tensor("F16", "1", 0, 4),
                4,
                "tensor \"a\": F16 of shape [1] takes 2 bytes, but data_offsets [0, 4] hold 4"
            },
            {
                tensor("F64", "", 0, 4),
                4,
                "tensor \"a\": F64 of shape [] takes 8 bytes, but data_offsets [0, 4] hold 4"
            },
            {
                "{\"a\":" + a + ",\"b\":" + entry("\"F32\"", "[1]", "2,6") + "}",
                6,
                "tensor \"b\" overlaps tensor \"a\": it begins at 2, expected 4"
            },
            {
                "{\"a\":" + a + ",\"b\":" + a + "}",
                4,
                "tensor \"b\" overlaps tensor \"a\": it begins at 0, expected 4"
            },
            {
                "{\"b\":" + entry("\"F32\"", "[1]", "6,10") + ",\"a\":" + a + "}",
                10,
                "tensor \"b\" leaves a hole behind tensor \"a\": it begins at 6, expected 4"
            },
            {
                tensor("F32", "1", 1, 5),
                5,
                "tensor \"a\" leaves a hole behind the header: it begins at 1, expected 0"
            },
            {
                tensor("F32", "1", 0, 4),
                9,
                "the tensors take 4 bytes, but the file has 9 bytes of data"
            },
            {"{}", 1, "the tensors take 0 bytes, but the file has 1 bytes of data"},
            {"{\"__metadata__\":[]}", 0, "__metadata__ must be an object, found an array"},
            {
                "{\"__metadata__\":{\"a\":1}}",
                0,
                "__metadata__.\"a\" must be a string, found a number"
            },
            {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "__metadata__.\"a\" occurs twice"},
            {
                "{\"__metadata__\":{},\"__metadata__\":{}}",
                0,
                "__metadata__ occurs twice in the header"
            },
            {
                "{\"x\\nERROR forged\":1}",
                0,
                "tensor \"x\\u000aERROR forged\" must be an object, found a number"
            },
        };
    }

    @Test(dataProvider = "hostileHeaders")
    public void refusesAHeader(String header, int dataSize, String message) throws IOException {
        SafetensorsWriter.write(path, header, new byte[dataSize]);
        assertEquals(failure(), path + ": " + message);
    }

    /** The length field, the header, and what the reader must say of the file. */
    @DataProvider
    public Object[][] hostileLengths() {
        return new Object[][] {
            {3L, "{}", "the header's length is 3 bytes, allowed are at most 2 in a file of 10"},
            {
                -1L,
                "{}",
                "the header's length is 18446744073709551615 bytes, allowed are at most 2 in a file"
                        + " of 10"
            },
            {
                Long.MAX_VALUE,
                "{}",
                "the header's length is 9223372036854775807 bytes, allowed are at most 2 in a file"
                        + " of 10"
            },
            {1L, "{}", "the header's JSON ends too early"},
            {0L, "{}", "the header must begin with {, found \"\""},
        };
    }

    @Test(dataProvider = "hostileLengths")
    public void refusesALength(long length, String header, String message) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        SafetensorsWriter.write(path, length, json, new byte[0]);
        assertEquals(failure(), path + ": " + message);
    }

    @Test
    public void refusesFilesTooShortForALength() throws IOException {
        for (int size = 0; size < 8; size++) {
            Files.write(path, new byte[size]);
            assertEquals(
                    failure(),
                    path
                            + ": the file has "
                            + size
                            + " bytes, but a safetensors file has at least 8");
        }
    }

    @Test
    public void refusesAHeaderThatIsNotUtf8() throws IOException {
        byte[] header = {'{', '"', (byte) 0xc3, '(', '"', ':', '{', '}', '}'};
        SafetensorsWriter.write(path, header.length, header, new byte[0]);
        assertEquals(failure(), path + ": the header is not UTF-8");
    }

    @Test
    public void refusesAHeaderOverTheFormatsLimit() throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(length(100_000_001));
            file.setLength(200_000_000);
        }
        assertEquals(
                failure(),
                path
                        + ": the header's length is 100000001 bytes, allowed are at most 100000000"
                        + " in a file of 200000000");
    }

    @Test
    public void refusesWhatIsNoFile() {
        assertEquals(failure(), path + ": there is no such file");
        path = directory.path();
        assertEquals(failure(), path + ": expected a file, found a directory");
    }

    /** Every cut of a right file is a wrong one. */
    @Test
    public void refusesEveryTruncation() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[8]);
        byte[] whole = Files.readAllBytes(path);
        for (int size = 0; size < whole.length; size++) {
            Files.write(path, Arrays.copyOf(whole, size));
            assertTrue(failure().startsWith(path + ": "), "cut to " + size);
        }
    }

    private String failure() {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class, () -> SafetensorsFile.open(path).close());
        assertFalse(e.getMessage().contains("\n"), "one line: " + e.getMessage());
        return e.getMessage();
    }

    @Test
    public void namesATensorThatIsNotThere() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[8]);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            LoraConfigurationException e =
                    expectThrows(LoraConfigurationException.class, () -> file.tensor("c"));
            assertEquals(e.getMessage(), path + ": there is no tensor \"c\" among its 3");
        }
    }

    @Test
    public void refusesATensorOfAnotherFile() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[8]);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            TensorInfo a = file.tensor("a");
            TensorInfo moved = new TensorInfo("a", a.type(), a.shape(), a.offset() + 4, a.size());
            expectThrows(IllegalArgumentException.class, () -> file.read(moved));
            expectThrows(IllegalArgumentException.class, () -> file.map(moved));
        }
    }

    @Test
    public void noticesAFileThatShrinksUnderneath() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[8]);
        try (SafetensorsFile file = SafetensorsFile.open(path);
                RandomAccessFile other = new RandomAccessFile(path.toFile(), "rw")) {
            TensorInfo b = file.tensor("b");
            other.setLength(b.offset() + 1);
            String expected =
                    path
                            + ": tensor \"b\" lies at bytes "
                            + b.offset()
                            + " to "
                            + (b.offset() + 4)
                            + ", but the file now ends at "
                            + (b.offset() + 1)
                            + "; it has been cut off since it was opened";
            assertEquals(
                    expectThrows(LoraConfigurationException.class, () -> file.read(b)).getMessage(),
                    expected);
            assertEquals(
                    expectThrows(LoraConfigurationException.class, () -> file.map(b)).getMessage(),
                    expected);
        }
    }

    @Test
    public void saysThatAFileWasClosed() throws IOException {
        SafetensorsWriter.write(path, TWO, new byte[8]);
        SafetensorsFile file = SafetensorsFile.open(path);
        file.close();
        file.close();
        String message =
                expectThrows(LoraConfigurationException.class, () -> file.read(file.tensor("a")))
                        .getMessage();
        assertTrue(message.contains("ClosedChannelException"), message);
    }

    /** A file with a hole: 5 GiB by its length, a few pages on the disk. */
    @Test
    public void reachesTensorsBeyondTwoGigabytes() throws IOException {
        long large = 5L << 29;
        long last = 2 * large;
        String header =
                "{\"large\":"
                        + entry("\"BF16\"", "[" + large / 2 + "]", "0," + large)
                        + ",\"larger\":"
                        + entry("\"U8\"", "[" + large + "]", large + "," + last)
                        + ",\"end\":"
                        + entry("\"F32\"", "[1,2]", last + "," + (last + 8))
                        + "}";
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(length(json.length));
            file.write(json);
            file.setLength(8 + json.length + last + 8);
            file.seek(8 + json.length + last);
            file.write(new byte[] {0, 0, (byte) 0x80, 0x3f, 0, 0, 0, 0x40});
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            TensorInfo end = file.tensor("end");
            assertTrue(end.offset() > 5L << 30);
            ByteBuffer mapped = file.map(end);
            assertEquals(mapped.remaining(), 8);
            assertEquals(mapped.getFloat(), 1f);
            assertEquals(mapped.getFloat(), 2f);
            assertEquals(file.read(end)[7], 0x40);
            for (String name : List.of("large", "larger")) {
                TensorInfo info = file.tensor(name);
                assertEquals(info.size(), large);
                String expected =
                        path
                                + ": tensor \""
                                + name
                                + "\" has 2684354560 bytes, a single tensor may have 2147483639";
                assertEquals(
                        expectThrows(LoraConfigurationException.class, () -> file.map(info))
                                .getMessage(),
                        expected);
                assertEquals(
                        expectThrows(LoraConfigurationException.class, () -> file.read(info))
                                .getMessage(),
                        expected);
            }
        }
    }

    private static byte[] length(long value) {
        return ByteBuffer.allocate(Long.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
    }

    @Test
    public void typesOfWeightsAreThoseOfTheOperator() {
        for (ElementType type : ElementType.values()) {
            SafetensorsType stored = SafetensorsType.ofName(type.safetensorsName()).orElseThrow();
            assertEquals(stored.elementType(), Optional.of(type));
            assertEquals(stored.bytes(), type.bytes());
        }
        assertEquals(SafetensorsType.F64.elementType(), Optional.empty());
        assertEquals(SafetensorsType.ofName("F4"), Optional.empty());
    }
}
