/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class ArchivesTest {

    private static final Path VARIANTS = Path.of("../src/test/resources/goldens/variants");
    private static final Path ADAPTER = VARIANTS.resolve("llama/adapters/lora");
    private static final FormatLimits LIMITS = FormatLimits.DEFAULTS;
    private static final byte[] FEW = "few".getBytes(StandardCharsets.UTF_8);

    private TempDirectory temp;

    @BeforeMethod
    public void setUp() throws IOException {
        temp = new TempDirectory();
    }

    @AfterMethod
    public void tearDown() throws IOException {
        temp.close();
    }

    @DataProvider
    public Object[][] goldens() {
        return new Object[][] {{"adapter.zip"}, {"adapter.tar.gz"}};
    }

    @Test(dataProvider = "goldens")
    public void archivedAdapterIsReadAndItsCopyDeleted(String name) {
        Path source = VARIANTS.resolve("formats").resolve(name);
        Path copy;
        try (AdapterFiles files = AdapterFiles.open(source, LIMITS)) {
            FormatGoldensTest.assertSame(files, "llama/adapters/lora");
            assertEquals(files.source(), source);
            copy = files.directory();
            assertTrue(Files.isDirectory(copy));
            assertEquals(
                    files.file("adapter_config.json").orElseThrow(),
                    copy.resolve("adapter_config.json"));
        }
        assertFalse(Files.exists(copy));
    }

    @DataProvider
    public Object[][] layouts() {
        return new Object[][] {{""}, {"./"}, {"my-adapter/"}, {"./my-adapter/"}};
    }

    @Test(dataProvider = "layouts")
    public void filesLieAtTheTopOrInOneFolder(String prefix) throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        if (!prefix.isEmpty()) {
            files.put(prefix, null);
        }
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            files.put(prefix + name, Files.readAllBytes(ADAPTER.resolve(name)));
        }
        // what macOS and checkpoints put beside them
        files.put("__MACOSX/._adapter_config.json", FEW);
        files.put(prefix + "checkpoint-10/deep/optimizer.pt", FEW);
        List<Path> archives =
                List.of(zip(files, true), zip(files, false), tar(files), gzip(tar(files)));
        for (Path archive : archives) {
            try (AdapterFiles opened = AdapterFiles.open(archive, LIMITS)) {
                FormatGoldensTest.assertSame(opened, "llama/adapters/lora");
            }
        }
    }

    @Test
    public void messageOfAnExtractedFileNamesTheArchive() throws IOException {
        Path archive =
                zip(
                        Map.of(
                                "adapter_config.json",
                                "{".getBytes(StandardCharsets.UTF_8),
                                "adapter_model.safetensors",
                                Files.readAllBytes(ADAPTER.resolve("adapter_model.safetensors"))),
                        true);
        refused(archive, "adapter_config.json: the JSON ends too early");
        String message = refused(zip(Map.of("x", FEW), true), "expected adapter_model.safetensors");
        Matcher copy = Pattern.compile(": (/.*?djl-lora-adapter-\\d+): ").matcher(message);
        assertTrue(copy.find(), message);
        assertFalse(Files.exists(Path.of(copy.group(1))), "the copy is deleted");
    }

    @DataProvider
    public Object[][] wrongNames() {
        return new Object[][] {
            {"../x", "has a name that leads out of the archive"},
            {"a/../../x", "has a name that leads out of the archive"},
            {"..", "has a name that leads out of the archive"},
            {"/etc/passwd", "has an absolute name"},
            {"C:/x", "has an absolute name"},
            {"c:x", "has an absolute name"},
            {"a\\b", "has a backslash or a control character"},
            {"..\\x", "has a backslash or a control character"},
            {"a\nb", "has a backslash or a control character"},
            {"a//b", "has an empty part in its name"},
            {"a/./b", "has an empty part in its name"},
            {"a".repeat(1025), "has a name of more than 1024 characters"},
            {"a/".repeat(16) + "b", "lies deeper than 16 folders"},
        };
    }

    @Test(dataProvider = "wrongNames")
    public void namesThatLeadElsewhereAreRefused(String name, String message) throws IOException {
        for (byte[] content : Arrays.asList(FEW, null)) {
            String entry = content == null && !name.endsWith("/") ? name + '/' : name;
            String deep = content == null && name.startsWith("a/a/") ? "b/" : "";
            Map<String, byte[]> files = new LinkedHashMap<>();
            files.put(entry + deep, content);
            if (name.indexOf('\\') < 0) {
                // the library that writes the test's zip files turns backslashes round
                refused(zip(files, true), message);
            }
            refused(rawTar(entry + deep, content == null ? '5' : '0'), message);
        }
    }

    @Test
    public void twoEntriesOfOneNameAreRefused() throws IOException {
        refused(tar("x", "x"), "entry \"x\" is in the archive more than once");
        refused(tar("x", "./x"), "entry \"./x\" is in the archive more than once");
        refused(tar("x/y", "x"), "entry \"x\" is in the archive more than once");
        refused(tar("x", "x/y"), "entry \"x/y\" lies in what is a file of the archive");
        refused(tar("x", "x/"), "entry \"x/\" lies in what is a file of the archive");
        Path twice = zipOf("x", "y");
        byte[] bytes = Files.readAllBytes(twice);
        for (int i = 0; i < bytes.length; i++) {
            // the names stand behind the headers, and y nowhere else
            bytes[i] = bytes[i] == 'y' ? (byte) 'x' : bytes[i];
        }
        Files.write(twice, bytes);
        refused(twice, "the archive holds \"x\" more than once");
    }

    @DataProvider
    public Object[][] linkKinds() {
        return new Object[][] {{'1'}, {'2'}, {'3'}, {'4'}, {'6'}, {'7'}, {'S'}, {'x' + 0x80}};
    }

    @Test(dataProvider = "linkKinds")
    public void linksAndDevicesOfTarAreRefused(int kind) throws IOException {
        refused(rawTar("x", kind), "entry \"x\" is a link, a device or a sparse file");
    }

    @Test
    public void linksOfZipAreRefused() throws IOException {
        for (int type : new int[] {0120777, 0060644, 0140644, 0010644}) {
            Path file = temp.path().resolve("links.zip");
            try (ZipArchiveOutputStream zip = new ZipArchiveOutputStream(file)) {
                ZipArchiveEntry entry = new ZipArchiveEntry("x");
                entry.setUnixMode(type);
                zip.putArchiveEntry(entry);
                zip.write(FEW);
                zip.closeArchiveEntry();
            }
            refused(file, "entry \"x\" is a link or a device, expected files and folders alone");
        }
    }

    @Test
    public void limitsAreHeldWhileExtracting() throws IOException {
        byte[] noise = new byte[3 << 20];
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < noise.length; i++) {
            noise[i] = (byte) random.nextInt();
        }
        Map<String, byte[]> files = Map.of("a", noise, "b", FEW);
        for (Path archive :
                List.of(zip(files, true), zip(files, false), tar(files), gzip(tar(files)))) {
            refused(archive, limits(1 << 20, 10, 100), "holds more than the allowed 1048576");
            refused(archive, limits(1L << 30, 1, 100), "more than the allowed 1 entries");
            refused(archive, limits(1L << 30, 2, 100), "expected adapter_model.safetensors");
        }
    }

    @Test
    public void bombsAreRefused() throws IOException {
        byte[] zeros = new byte[32 << 20];
        Path zip = zip(Map.of("a", zeros), true);
        refused(zip, "holds more than the allowed " + 100 * Files.size(zip));
        Path gzip = gzip(tar(Map.of("a", zeros)));
        refused(gzip, "holds more than the allowed " + 100 * Files.size(gzip));
    }

    @Test
    public void longHeadersOfTarAreRefused() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(header("././@LongLink", 'L', 4 << 20));
        bytes.writeBytes(new byte[4 << 20]);
        Path file = Files.write(temp.path().resolve("long.tar"), bytes.toByteArray());
        refused(file, "the headers of an entry have more than the allowed 262144 bytes");
    }

    @Test
    public void damagedArchivesAreRefused() throws IOException {
        Map<String, byte[]> files =
                Map.of(
                        "adapter_model.bin",
                        Files.readAllBytes(ADAPTER.resolve("adapter_model.safetensors")));
        byte[] stored = Files.readAllBytes(zip(files, false));
        stored[5000] ^= 1;
        Path damaged = Files.write(temp.path().resolve("damaged.zip"), stored);
        refused(damaged, "is damaged: its size or its checksum is another");
        byte[] packed = Files.readAllBytes(gzip(tar(files)));
        packed[5000] ^= 1;
        refused(Files.write(temp.path().resolve("damaged.tgz"), packed), "not a whole tar archive");
        for (Path whole : List.of(zip(files, true), gzip(tar(files)))) {
            byte[] bytes = Files.readAllBytes(whole);
            for (int length = 8; length < bytes.length; length += 1 + length / 4) {
                Path cut = temp.path().resolve("cut");
                Files.write(cut, Arrays.copyOf(bytes, length));
                refused(cut, "not a whole");
            }
        }
    }

    @Test
    public void otherCompressionsOfZipAreRefused() throws IOException {
        byte[] bytes = Files.readAllBytes(zipOf("x"));
        int directory = find(bytes, new byte[] {'P', 'K', 1, 2});
        bytes[directory + 10] = 14;
        bytes[8] = 14;
        refused(
                Files.write(temp.path().resolve("lzma.zip"), bytes),
                "entry \"x\" is compressed by method 14, allowed are stored and deflated");
        bytes = Files.readAllBytes(zipOf("x"));
        bytes[directory + 8] |= 1;
        bytes[6] |= 1;
        refused(Files.write(temp.path().resolve("secret.zip"), bytes), "entry \"x\" is encrypted");
    }

    @Test
    public void overlappingEntriesAreRefused() throws IOException {
        byte[] bytes = Files.readAllBytes(zipOf("x", "y"));
        int first = find(bytes, new byte[] {'P', 'K', 1, 2});
        // the second entry of the directory points to the first one's bytes
        int second =
                first
                        + 4
                        + find(
                                Arrays.copyOfRange(bytes, first + 4, bytes.length),
                                new byte[] {'P', 'K', 1, 2});
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(second + 42, 0);
        refused(
                Files.write(temp.path().resolve("o.zip"), bytes),
                "shares bytes with another entry");
    }

    @Test
    public void otherCompressedFilesAreRefused() throws IOException {
        Path text = temp.write("text", "no archive".repeat(100));
        refused(gzip(text), "expected a tar archive inside, found something else");
    }

    private static FormatLimits limits(long extracted, int entries, int expansion) {
        return new FormatLimits(1 << 30, 1 << 20, 1 << 20, extracted, entries, expansion);
    }

    private Path zipOf(String... names) throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        for (String name : names) {
            files.put(name, FEW);
        }
        return zip(files, false);
    }

    private Path zip(Map<String, byte[]> files, boolean deflated) throws IOException {
        Path file = temp.path().resolve("archive-" + deflated + ".zip");
        try (ZipArchiveOutputStream zip = new ZipArchiveOutputStream(file)) {
            for (Map.Entry<String, byte[]> each : files.entrySet()) {
                ZipArchiveEntry entry = new ZipArchiveEntry(each.getKey());
                entry.setMethod(deflated ? ZipArchiveEntry.DEFLATED : ZipArchiveEntry.STORED);
                zip.putArchiveEntry(entry);
                if (each.getValue() != null) {
                    zip.write(each.getValue());
                }
                zip.closeArchiveEntry();
            }
        }
        return file;
    }

    private Path tar(String... names) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (String name : names) {
            bytes.writeBytes(header(name, name.endsWith("/") ? '5' : '0', 0));
        }
        bytes.writeBytes(new byte[1024]);
        return Files.write(temp.path().resolve("names.tar"), bytes.toByteArray());
    }

    private Path tar(Map<String, byte[]> files) throws IOException {
        Path file = temp.path().resolve("archive.tar");
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(Files.newOutputStream(file))) {
            for (Map.Entry<String, byte[]> each : files.entrySet()) {
                TarArchiveEntry entry = new TarArchiveEntry(each.getKey());
                entry.setSize(each.getValue() == null ? 0 : each.getValue().length);
                tar.putArchiveEntry(entry);
                if (each.getValue() != null) {
                    tar.write(each.getValue());
                }
                tar.closeArchiveEntry();
            }
        }
        return file;
    }

    /** Writes one entry of any name, which a library would correct, and of any kind. */
    private Path rawTar(String name, int kind) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        if (name.length() > 99) {
            byte[] text = name.getBytes(StandardCharsets.UTF_8);
            bytes.writeBytes(header("././@LongLink", 'L', text.length));
            bytes.writeBytes(Arrays.copyOf(text, (text.length + 511) / 512 * 512));
        }
        bytes.writeBytes(header(name.substring(0, Math.min(99, name.length())), kind, 0));
        bytes.writeBytes(new byte[1024]);
        return Files.write(temp.path().resolve("raw.tar"), bytes.toByteArray());
    }

    private static byte[] header(String name, int kind, int size) {
        byte[] header = new byte[512];
        put(header, 0, name);
        put(header, 100, "0000644");
        put(header, 108, "0000000");
        put(header, 116, "0000000");
        put(header, 124, String.format("%011o", size));
        put(header, 136, "00000000000");
        put(header, 148, "        ");
        header[156] = (byte) kind;
        put(header, 257, "ustar  ");
        int sum = 0;
        for (byte each : header) {
            sum += each & 0xff;
        }
        put(header, 148, String.format("%06o", sum));
        header[154] = 0;
        return header;
    }

    private static void put(byte[] header, int offset, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, header, offset, bytes.length);
    }

    private Path gzip(Path file) throws IOException {
        Path packed = temp.path().resolve(file.getFileName() + ".gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(packed))) {
            Files.copy(file, out);
        }
        return packed;
    }

    private static int find(byte[] bytes, byte[] part) {
        for (int i = 0; i + part.length <= bytes.length; i++) {
            if (Arrays.equals(bytes, i, i + part.length, part, 0, part.length)) {
                return i;
            }
        }
        throw new AssertionError("not found");
    }

    private static String refused(Path file, String message) {
        return refused(file, LIMITS, message);
    }

    /** Asserts that an archive is refused in one line that names it, and returns the line. */
    private static String refused(Path file, FormatLimits limits, String message) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () -> {
                            try (AdapterFiles files = AdapterFiles.open(file, limits)) {
                                throw new AssertionError("opened " + files.tensors());
                            }
                        });
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
        return e.getMessage();
    }
}
