/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Files are laid out here byte by byte, by the format's description alone. */
public class PackedFileTest {

    private static final String REVISION = "0123456789abcdef".repeat(4);
    private static final byte[] A = {1, 2, 3, 4, 5, 6};
    private static final byte[] B = {9, 8, 7, 6, 5, 4, 3, 2};

    private TempDirectory directory;

    @BeforeMethod
    public void makeDirectory() throws IOException {
        directory = new TempDirectory();
    }

    @AfterMethod(alwaysRun = true)
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private static String crc(byte[] data) {
        CRC32C crc = new CRC32C();
        crc.update(data);
        return String.format("%08x", crc.getValue());
    }

    private static String header() {
        return "{\"revision\":\""
                + REVISION
                + "\",\"config\":{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2},"
                + "\"modules\":[{\"name\":\"m\"}],\"block_bytes\":72,\"tensors\":["
                + "{\"name\":\"m.lora_A.weight\",\"dtype\":\"F16\",\"shape\":[1,3],\"offset\":0,"
                + "\"bytes\":6,\"crc32c\":\""
                + crc(A)
                + "\"},{\"name\":\"m.lora_B.weight\",\"dtype\":\"F32\",\"shape\":[2,1],"
                + "\"offset\":64,\"bytes\":8,\"crc32c\":\""
                + crc(B)
                + "\"}]}";
    }

    private static byte[] file(String header, int version) throws Exception {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer head = ByteBuffer.allocate(20 + json.length).order(ByteOrder.LITTLE_ENDIAN);
        head.put(new byte[] {(byte) 0x89, 'D', 'J', 'L', 'O', 'R', 'A', '\n'});
        head.putInt(version).putInt(json.length).put(json);
        CRC32C crc = new CRC32C();
        crc.update(head.array(), 0, head.position());
        head.putInt((int) crc.getValue());
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.write(head.array());
        file.write(new byte[(4096 - file.size() % 4096) % 4096]);
        file.write(A);
        file.write(new byte[64 - A.length]);
        file.write(B);
        file.write(MessageDigest.getInstance("SHA-256").digest(file.toByteArray()));
        return file.toByteArray();
    }

    private Path write(byte[] data) throws IOException {
        return Files.write(directory.path().resolve("a.djlora"), data);
    }

    private static PackedFile open(Path file) {
        return PackedFile.open(file, FormatLimits.DEFAULTS);
    }

    @Test
    public void readsWhatWasWritten() throws Exception {
        Path path = write(file(header(), 1));
        try (PackedFile file = open(path)) {
            file.verify();
            assertEquals(file.revision(), REVISION);
            assertEquals(file.config().get("lora_alpha").getAsInt(), 2);
            assertEquals(
                    List.copyOf(file.tensors().keySet()),
                    List.of("m.lora_A.weight", "m.lora_B.weight"));
            TensorInfo a = file.tensors().get("m.lora_A.weight");
            TensorInfo b = file.tensors().get("m.lora_B.weight");
            assertEquals(a.type(), SafetensorsType.F16);
            assertEquals(b.shape(), new long[] {2, 1});
            assertEquals(file.read(a), A);
            ByteArrayOutputStream streamed = new ByteArrayOutputStream();
            file.stream(b, chunk -> streamed.write(chunk.get()));
            assertEquals(streamed.toByteArray(), new byte[] {B[0]});
            byte[] block = file.readBlock();
            assertEquals(block.length, 72);
            assertEquals(file.offsetInBlock(b), 64);
            assertEquals(Arrays.copyOfRange(block, 64, 72), B);
            assertEquals(b.offset() % 64, 0);
        }
        try (AdapterFiles files = AdapterFiles.open(path, FormatLimits.DEFAULTS)) {
            assertEquals(files.notes(), List.of());
            assertEquals(files.statedRevision().orElseThrow(), REVISION);
            assertEquals(files.config().get("peft_type").getAsString(), "LORA");
            assertEquals(files.read("m.lora_B.weight"), B);
        }
    }

    /** A file has a checksum over each of its bytes: none can change without notice. */
    @Test
    public void everyChangedByteIsNoticed() throws Exception {
        byte[] whole = file(header(), 1);
        for (int i = 0; i < whole.length; ++i) {
            byte[] changed = whole.clone();
            changed[i] ^= 0x10;
            Path path = write(changed);
            LoraException e =
                    expectThrows(
                            LoraException.class,
                            () -> {
                                try (PackedFile file = open(path)) {
                                    file.verify();
                                }
                            });
            assertEquals(e.getMessage().lines().count(), 1, "byte " + i);
        }
    }

    @Test
    public void aChangedTensorIsNoticedWhenItIsRead() throws Exception {
        byte[] data = file(header(), 1);
        data[data.length - 33] ^= 1;
        try (PackedFile file = open(write(data))) {
            TensorInfo a = file.tensors().get("m.lora_A.weight");
            TensorInfo b = file.tensors().get("m.lora_B.weight");
            assertEquals(file.read(a), A);
            for (Runnable read :
                    List.<Runnable>of(
                            () -> file.read(b),
                            () -> file.stream(b, chunk -> {}),
                            file::readBlock)) {
                LoraConfigurationException e =
                        expectThrows(LoraConfigurationException.class, read::run);
                assertTrue(
                        e.getMessage()
                                .endsWith(
                                        "tensor \"m.lora_B.weight\" is not what was written: its"
                                                + " CRC32C is another"),
                        e.getMessage());
            }
        }
    }

    @Test
    public void everyTruncationIsRefused() throws Exception {
        byte[] whole = file(header(), 1);
        for (int length = 8; length < whole.length; length += 7) {
            Path path = write(Arrays.copyOf(whole, length));
            expectThrows(LoraConfigurationException.class, () -> open(path));
        }
        Path longer = write(Arrays.copyOf(whole, whole.length + 1));
        LoraConfigurationException e =
                expectThrows(LoraConfigurationException.class, () -> open(longer));
        assertTrue(e.getMessage().contains("something was added"), e.getMessage());
    }

    @DataProvider
    public Object[][] wrongHeaders() {
        return new Object[][] {
            {"\"revision\":\"0", "\"revision\":\"x", "revision must be 64 hexadecimal digits"},
            {"\"modules\"", "\"module\"", "the header has no field modules"},
            {"{\"revision\"", "{\"more\":1,\"revision\"", "the unknown field \"more\""},
            {"[{\"name\":\"m\"}]", "{}", "modules must be an array"},
            {"{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2}", "[]", "config must be an object"},
            {"\"block_bytes\":72", "\"block_bytes\":73", "end at byte 72 of the block"},
            {"\"block_bytes\":72", "\"block_bytes\":-1", "must be a whole number from 0 on"},
            {"\"block_bytes\":72", "\"block_bytes\":7e9999", "must be a whole number from 0 on"},
            {"\"F32\"", "\"F33\"", "has the unknown type \"F33\""},
            {"[2,1]", "[2,2]", "has 8 bytes, by its shape it has 16"},
            {"[2,1]", "[9223372036854775807,3]", "more than 2^63 bytes"},
            {"[2,1]", "[2,\"1\"]", "must be a whole number from 0 on, found \"\"1\"\""},
            {"[2,1]", "2", "shape must be an array"},
            {"\"offset\":64", "\"offset\":60", "lies at byte 60 of the block, expected 64"},
            {"\"offset\":64", "\"offset\":128", "lies at byte 128 of the block, expected 64"},
            {"lora_B", "lora_A", "tensor \"m.lora_A.weight\" occurs twice"},
            {"\"crc32c\":\"", "\"crc32c\":\"0", "must be 8 hexadecimal digits"},
            {"\"dtype\":\"F32\",", "", "a tensor's entry has no field dtype"},
            {"]}", "]}}", "the header: not JSON"},
            {"{\"revision\"", "[\"revision\"", "the header"},
        };
    }

    @Test(dataProvider = "wrongHeaders")
    public void headersThatDoNotAddUpAreRefused(String from, String to, String message)
            throws Exception {
        assertTrue(header().contains(from), from);
        Path path = write(file(header().replace(from, to), 1));
        LoraConfigurationException e =
                expectThrows(LoraConfigurationException.class, () -> open(path));
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().contains("a.djlora: "), e.getMessage());
        assertEquals(e.getMessage().lines().count(), 1, e.getMessage());
    }

    @Test
    public void otherVersionsAreRefused() throws Exception {
        Path path = write(file(header(), 2));
        LoraConfigurationException e =
                expectThrows(LoraConfigurationException.class, () -> open(path));
        assertTrue(e.getMessage().endsWith("is of version 2, supported is 1"), e.getMessage());
    }

    @Test
    public void limitsHold() throws Exception {
        Path path = write(file(header(), 1));
        FormatLimits limits = FormatLimits.DEFAULTS;
        for (FormatLimits tight :
                List.of(
                        limited(13, limits.maxTensors(), limits.maxHeaderBytes()),
                        limited(limits.maxBytes(), 1, limits.maxHeaderBytes()),
                        limited(limits.maxBytes(), limits.maxTensors(), 100))) {
            LoraConfigurationException e =
                    expectThrows(
                            LoraConfigurationException.class, () -> PackedFile.open(path, tight));
            assertTrue(e.getMessage().contains("allowed are"), e.getMessage());
        }
    }

    private static FormatLimits limited(long bytes, long tensors, int header) {
        return new FormatLimits(bytes, tensors, header, 1, 1, 1);
    }
}
