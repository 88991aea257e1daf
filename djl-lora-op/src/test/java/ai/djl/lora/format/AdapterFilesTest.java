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
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class AdapterFilesTest {

    private static final String CONFIG =
            "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"target_modules\": [\"q\"]}";
    private static final String PREFIX = "base_model.model.";

    private TempDirectory temp;

    @BeforeMethod
    public void setUp() throws IOException {
        temp = new TempDirectory();
    }

    @AfterMethod
    public void tearDown() throws IOException {
        temp.close();
    }

    @Test
    public void folderOfPeftIsReadAsItIs() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        temp.write("README.md", "hello");
        write(matrices(PREFIX + "layers.0.q.lora_A.weight", PREFIX + "layers.0.q.lora_B.weight"));

        try (AdapterFiles files = open()) {
            assertEquals(files.source(), temp.path());
            assertEquals(files.directory(), temp.path());
            assertEquals(files.config(), JsonParser.parseString(CONFIG));
            assertEquals(
                    List.copyOf(files.tensors().keySet()),
                    List.of("layers.0.q.lora_A.weight", "layers.0.q.lora_B.weight"));
            TensorInfo a = files.tensors().get("layers.0.q.lora_A.weight");
            assertEquals(a.name(), "layers.0.q.lora_A.weight");
            assertEquals(a.type(), SafetensorsType.F32);
            assertEquals(a.shape(), new long[] {2, 3});
            assertEquals(files.originalName(a.name()), PREFIX + a.name());
            assertEquals(files.read(a.name()), matrix(0).data());
            assertEquals(files.read("layers.0.q.lora_B.weight"), matrix(1).data());
            assertEquals(files.notes(), List.of());
            assertEquals(files.file("README.md").orElseThrow(), temp.path().resolve("README.md"));
            assertTrue(files.file("tokenizer.json").isEmpty());
            assertThrows(IllegalArgumentException.class, () -> files.read("other"));
            assertThrows(IllegalArgumentException.class, () -> files.file("../README.md"));
            assertThrows(IllegalArgumentException.class, () -> files.file("a/b"));
            assertThrows(IllegalArgumentException.class, () -> files.file(".."));
        }
    }

    @Test
    public void configurationHandedOutIsACopy() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(matrices("q.lora_A.weight"));

        try (AdapterFiles files = open()) {
            files.config().addProperty("r", 99);
            assertEquals(files.config().get("r").getAsInt(), 2);
        }
    }

    @Test
    public void largeTensorsAreStreamedInChunksOfAtMostAMebibyte() throws IOException {
        byte[] data = new byte[(5 << 20) / 2];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * 31 >> 3);
        }
        temp.write("adapter_config.json", CONFIG);
        write(
                Map.of(
                        "q.lora_A.weight",
                        new HostTensor(
                                ElementType.FLOAT16, new long[] {2, data.length / 4}, data)));

        try (AdapterFiles files = open()) {
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            int[] calls = new int[1];
            files.stream(
                    "q.lora_A.weight",
                    chunk -> {
                        assertTrue(chunk.isReadOnly());
                        assertTrue(chunk.remaining() <= 1 << 20);
                        byte[] part = new byte[chunk.remaining()];
                        chunk.get(part);
                        read.writeBytes(part);
                        calls[0]++;
                    });
            assertEquals(read.toByteArray(), data);
            assertTrue(calls[0] >= 3, "chunks: " + calls[0]);
            assertEquals(files.read("q.lora_A.weight"), data);
        }
    }

    @Test
    public void shardsAreReadThroughTheirIndex() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        SafetensorsWriter.write(
                temp.path().resolve("part-1.safetensors"), matrices(PREFIX + "q.lora_A.weight"));
        SafetensorsWriter.write(
                temp.path().resolve("part-2.safetensors"),
                Map.of(PREFIX + "q.lora_B.weight", matrix(7)));
        index(
                Map.of(
                        PREFIX + "q.lora_A.weight", "part-1.safetensors",
                        PREFIX + "q.lora_B.weight", "part-2.safetensors"));

        try (AdapterFiles files = open()) {
            assertEquals(files.tensors().size(), 2);
            assertEquals(files.read("q.lora_A.weight"), matrix(0).data());
            assertEquals(files.read("q.lora_B.weight"), matrix(7).data());
        }
    }

    @Test
    public void shardOutsideTheFolderIsRefused() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        index(Map.of("q.lora_A.weight", "../part.safetensors"));

        refused("weight_map must name a file in the same directory", "\"../part.safetensors\"");
    }

    @Test
    public void shardThatIsALinkOutOfTheFolderIsRefused() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        try (TempDirectory other = new TempDirectory()) {
            Path target = other.path().resolve("x.safetensors");
            SafetensorsWriter.write(target, matrices("q.lora_A.weight"));
            Files.createSymbolicLink(temp.path().resolve("part.safetensors"), target);
            index(Map.of("q.lora_A.weight", "part.safetensors"));

            refused("part.safetensors: the file is a link that leads out of the adapter's folder");
        }
    }

    @Test
    public void linksOfTheHuggingFaceCacheAreFollowed() throws IOException {
        Path blobs = Files.createDirectories(temp.path().resolve("models--x/blobs"));
        Path snapshot = Files.createDirectories(temp.path().resolve("models--x/snapshots/abc"));
        Files.writeString(blobs.resolve("1"), CONFIG);
        SafetensorsWriter.write(blobs.resolve("2"), matrices("q.lora_A.weight"));
        Files.createSymbolicLink(snapshot.resolve("adapter_config.json"), Path.of("../../blobs/1"));
        Files.createSymbolicLink(
                snapshot.resolve("adapter_model.safetensors"), Path.of("../../blobs/2"));

        try (AdapterFiles files = AdapterFiles.open(snapshot, FormatLimits.DEFAULTS)) {
            assertEquals(files.read("q.lora_A.weight"), matrix(0).data());
        }
    }

    @Test
    public void linkOutOfTheFolderIsRefused() throws IOException {
        write(matrices("q.lora_A.weight"));
        try (TempDirectory other = new TempDirectory()) {
            Path target = other.write("config", CONFIG);
            Files.createSymbolicLink(temp.path().resolve("adapter_config.json"), target);
            refused(
                    "adapter_config.json: the file is a link that leads out of the adapter's"
                            + " folder");
            Files.delete(temp.path().resolve("adapter_config.json"));
            temp.write("adapter_config.json", CONFIG);
            Files.createSymbolicLink(temp.path().resolve("README.md"), target);
            try (AdapterFiles files = open()) {
                LoraConfigurationException e =
                        expectThrows(
                                LoraConfigurationException.class, () -> files.file("README.md"));
                assertTrue(
                        e.getMessage().contains("README.md: the file is a link"), e.getMessage());
            }
        }
    }

    @Test
    public void fileThatIsNamedItselfMayBeALink() throws IOException {
        try (TempDirectory other = new TempDirectory()) {
            Map<String, HostTensor> tensors = new LinkedHashMap<>();
            addKohya(tensors, "q", 2, 4);
            Path target = other.path().resolve("x");
            SafetensorsWriter.write(target, tensors);
            Path link = temp.path().resolve("mine.safetensors");
            Files.createSymbolicLink(link, target);
            try (AdapterFiles files = AdapterFiles.open(link, FormatLimits.DEFAULTS)) {
                assertEquals(files.tensors().size(), 2);
            }
        }
    }

    @Test
    public void folderInPlaceOfAFileIsRefused() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        Files.createDirectory(temp.path().resolve("adapter_model.safetensors"));

        refused("adapter_model.safetensors: expected a regular file");
    }

    @Test
    public void missingPartsAreNamed() throws IOException {
        refused("expected adapter_model.safetensors", "found none of them");
        write(matrices("q.lora_A.weight"));
        refused("there is no adapter_config.json, and the file has no alphas to make one of");
        Path absent = temp.path().resolve("absent");
        assertMessage(absent, FormatLimits.DEFAULTS, "absent: there is no such file or directory");
        assertMessage(
                temp.path().resolve("adapter_model.safetensors"),
                FormatLimits.DEFAULTS,
                "expected the adapter's folder, found one of its files");
        assertMessage(
                temp.write("notes.txt", "not an adapter"),
                FormatLimits.DEFAULTS,
                "notes.txt: expected");
    }

    @Test
    public void configurationThatIsNoStrictJsonIsRefused() throws IOException {
        write(matrices("q.lora_A.weight"));
        temp.write("adapter_config.json", "{\"r\": 2, \"r\": 3}");

        refused("adapter_config.json: the name \"r\" occurs twice");
    }

    @Test
    public void adapterNameInsideIsTakenOut() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(
                matrices(
                        PREFIX + "q.lora_A.default.weight",
                        PREFIX + "q.lora_B.default.weight",
                        PREFIX + "lm_head.weight"));

        try (AdapterFiles files = open()) {
            assertEquals(
                    List.copyOf(files.tensors().keySet()),
                    List.of("q.lora_A.weight", "q.lora_B.weight", "lm_head.weight"));
            assertEquals(files.originalName("q.lora_A.weight"), PREFIX + "q.lora_A.default.weight");
            assertEquals(files.notes(), List.of("names carry the adapter name \"default\""));
            assertEquals(files.read("q.lora_B.weight"), matrix(1).data());
        }
    }

    @Test
    public void twoAdaptersInOneFileAreRefused() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(matrices("q.lora_A.first.weight", "q.lora_B.second.weight"));

        refused(
                "tensor \"q.lora_A.first.weight\" belongs to the adapter \"first\" and tensor"
                        + " \"q.lora_B.second.weight\" to \"second\", expected one adapter");
    }

    @DataProvider
    public Object[][] orders() {
        return new Object[][] {{true}, {false}};
    }

    @Test(dataProvider = "orders")
    public void namedAndUnnamedTensorsAreNotMixed(boolean namedFirst) throws IOException {
        temp.write("adapter_config.json", CONFIG);
        String named = "q.lora_A.first.weight";
        String unnamed = "q.lora_B.weight";
        write(namedFirst ? matrices(named, unnamed) : matrices(unnamed, named));

        refused(
                "tensor \"q.lora_A.first.weight\" belongs to the adapter \"first\" and tensor"
                        + " \"q.lora_B.weight\" to none by name");
    }

    @Test
    public void twoTensorsOfOneNameAreRefused() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(matrices(PREFIX + "q.lora_A.weight", "q.lora_A.weight"));

        refused(
                "the tensors \"base_model.model.q.lora_A.weight\" and \"q.lora_A.weight\" are the"
                        + " same parameter \"q.lora_A.weight\"");
    }

    @Test
    public void doubledPrefixesAreTakenOff() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(matrices(PREFIX + PREFIX + "q.lora_A.weight"));

        try (AdapterFiles files = open()) {
            assertEquals(files.tensors().keySet(), Set.of("q.lora_A.weight"));
            assertEquals(
                    files.notes(),
                    List.of("names carry the prefix base_model.model. more than once"));
        }
    }

    @Test
    public void alphasOfAFileMakeItsConfiguration() throws IOException {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        addKohya(tensors, "layers.0.q", 2, 4);
        addKohya(tensors, "layers.0.k", 2, 4);
        addKohya(tensors, "layers.0.v_[x]", 3, 1.5f);
        Path file = temp.path().resolve("mine.safetensors");
        SafetensorsWriter.write(file, tensors);

        try (AdapterFiles files = AdapterFiles.open(file, FormatLimits.DEFAULTS)) {
            assertEquals(
                    List.copyOf(files.tensors().keySet()),
                    List.of(
                            "layers.0.q.lora_A.weight",
                            "layers.0.q.lora_B.weight",
                            "layers.0.k.lora_A.weight",
                            "layers.0.k.lora_B.weight",
                            "layers.0.v_[x].lora_A.weight",
                            "layers.0.v_[x].lora_B.weight"));
            assertEquals(
                    files.originalName("layers.0.q.lora_A.weight"), "layers.0.q.lora_down.weight");
            assertEquals(
                    files.config(),
                    JsonParser.parseString(
                            "{'peft_type': 'LORA', 'r': 2, 'lora_alpha': 4, 'rank_pattern':"
                                    + " {'^layers\\\\.0\\\\.v_\\\\[x\\\\]': 3}, 'alpha_pattern':"
                                    + " {'^layers\\\\.0\\\\.v_\\\\[x\\\\]': 1.5},"
                                    + " 'target_modules': ['layers.0.q', 'layers.0.k',"
                                    + " 'layers.0.v_[x]'], 'bias': 'none'}"));
            assertEquals(
                    files.notes(),
                    List.of(
                            "names lack the prefix base_model.model.",
                            "matrices are called lora_down and lora_up",
                            "alphas are tensors of the file"));
            assertEquals(files.directory(), temp.path());
        }
    }

    @Test
    public void configurationBesideASingleFileIsNotItsOwn() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        Path file = temp.path().resolve("mine.safetensors");
        SafetensorsWriter.write(file, matrices("q.lora_A.weight"));

        assertMessage(
                file,
                FormatLimits.DEFAULTS,
                "there is no adapter_config.json, and the file has no alphas to make one of");
    }

    @Test
    public void alphasMustAgreeWithTheConfiguration() throws IOException {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        addKohya(tensors, "q", 2, 4);
        write(tensors);
        temp.write("adapter_config.json", CONFIG);
        try (AdapterFiles files = open()) {
            assertEquals(files.config(), JsonParser.parseString(CONFIG));
        }
        temp.write("adapter_config.json", CONFIG.replace("4", "5"));
        refused(
                "module \"q\" has the alpha 4.0 in the file, but lora_alpha in adapter_config.json"
                        + " is \"5\"");
        temp.write("adapter_config.json", "{\"lora_alpha\": \"4\"}");
        refused("but lora_alpha in adapter_config.json is \"\"4\"\"");
        temp.write("adapter_config.json", "{}");
        refused("but lora_alpha in adapter_config.json is \"null\"");
        JsonObject pattern = JsonParser.parseString(CONFIG).getAsJsonObject();
        pattern.add("alpha_pattern", JsonParser.parseString("{\"q\": 4}"));
        temp.write("adapter_config.json", pattern.toString());
        refused("adapter_config.json has an alpha_pattern as well");
    }

    @Test
    public void wrongAlphasAreRefused() throws IOException {
        refusedAlpha(scalar(0), "module \"q\" has the alpha 0.0, expected a finite number");
        refusedAlpha(scalar(Float.NaN), "module \"q\" has the alpha NaN");
        refusedAlpha(scalar(Float.POSITIVE_INFINITY), "module \"q\" has the alpha Infinity");
        refusedAlpha(matrix(0), "tensor \"q.alpha\" has 6 elements, expected one");
    }

    @Test
    public void alphasOfOtherTypesAreRead() throws IOException {
        for (ElementType type : ElementType.values()) {
            Map<String, HostTensor> tensors = new LinkedHashMap<>();
            addKohya(tensors, "q", 2, 4);
            tensors.put("q.alpha", SafetensorsWriter.tensor(type, 1, 1, 0.75f));
            write(tensors);
            try (AdapterFiles files = open()) {
                assertEquals(files.config().get("lora_alpha").getAsDouble(), 0.75);
            }
        }
        String header =
                "{'q.lora_A.weight': {'dtype': 'F32', 'shape': [1, 1], 'data_offsets': [0, 4]},"
                        + " 'q.alpha': {'dtype': 'U8', 'shape': [], 'data_offsets': [4, 5]}}";
        SafetensorsWriter.write(weights(), header.replace('\'', '"'), new byte[5]);
        refused("tensor \"q.alpha\" has the type U8, allowed for an alpha are");
    }

    @Test
    public void alphaIsNeededForEachModule() throws IOException {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        addKohya(tensors, "q", 2, 4);
        tensors.put("k.lora_down.weight", matrix(0));
        write(tensors);

        refused("module \"k\" has no alpha, though others of the file have one");
    }

    @Test
    public void alphaWithoutMatricesStaysATensor() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(Map.of("q.alpha", scalar(4)));

        try (AdapterFiles files = open()) {
            assertTrue(files.tensors().containsKey("q.alpha"));
        }
    }

    @Test
    public void matricesThatAreNoneAreRefused() throws IOException {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        tensors.put(
                "q.lora_down.weight",
                new HostTensor(ElementType.FLOAT32, new long[] {1}, new byte[4]));
        tensors.put("q.alpha", scalar(4));
        write(tensors);
        refused("tensor \"q.lora_A.weight\" has 1 dimensions, expected at least 2");
        tensors.put(
                "q.lora_down.weight",
                new HostTensor(ElementType.FLOAT32, new long[] {0, 3}, new byte[0]));
        write(tensors);
        refused("module \"q\" has the rank 0, expected at least 1");
    }

    @Test
    public void underscoredNamesAreRefused() throws IOException {
        write(matrices("lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight"));

        refused(
                "names its module with underscores in place of dots, which cannot be told from the"
                        + " underscores of the module's own name");
    }

    @Test
    public void limitsAreHeldBeforeDataIsRead() throws IOException {
        temp.write("adapter_config.json", CONFIG);
        write(matrices("q.lora_A.weight", "q.lora_B.weight"));
        assertMessage(
                temp.path(),
                new FormatLimits(1 << 20, 1, 1 << 20, 1, 1, 1),
                "adapter_model.safetensors: the file has 2 tensors, allowed are 1");
        assertMessage(
                temp.path(),
                new FormatLimits(47, 2, 1 << 20, 1, 1, 1),
                "with tensor \"q.lora_B.weight\" the tensors have 48 bytes, allowed are 47");
        assertMessage(
                temp.path(),
                new FormatLimits(48, 2, 100, 1, 1, 1),
                "the header's length is",
                "allowed are at most 100");
        try (AdapterFiles files =
                AdapterFiles.open(temp.path(), new FormatLimits(48, 2, 1 << 20, 1, 1, 1))) {
            assertFalse(files.tensors().isEmpty());
        }
    }

    @Test
    public void limitsMustBePositive() {
        assertThrows(IllegalArgumentException.class, () -> new FormatLimits(0, 1, 1, 1, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new FormatLimits(1, 1, 1, 1, 1, 0));
    }

    private AdapterFiles open() {
        return AdapterFiles.open(temp.path(), FormatLimits.DEFAULTS);
    }

    private void refused(String... parts) {
        assertMessage(temp.path(), FormatLimits.DEFAULTS, parts);
    }

    private void refusedAlpha(HostTensor alpha, String part) throws IOException {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        addKohya(tensors, "q", 2, 4);
        tensors.put("q.alpha", alpha);
        write(tensors);
        refused(part);
    }

    static void assertMessage(Path source, FormatLimits limits, String... parts) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () -> {
                            try (AdapterFiles files = AdapterFiles.open(source, limits)) {
                                throw new AssertionError("opened " + files.tensors());
                            }
                        });
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), e.getMessage());
        }
        assertTrue(e.getMessage().contains(source.getFileName().toString()), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }

    private Path weights() {
        return temp.path().resolve("adapter_model.safetensors");
    }

    private void write(Map<String, HostTensor> tensors) throws IOException {
        SafetensorsWriter.write(weights(), tensors);
    }

    private void index(Map<String, String> files) throws IOException {
        JsonObject map = new JsonObject();
        files.forEach(map::addProperty);
        JsonObject index = new JsonObject();
        index.add("weight_map", map);
        temp.write("adapter_model.safetensors.index.json", index.toString());
    }

    private static Map<String, HostTensor> matrices(String... names) {
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        for (String name : names) {
            tensors.put(name, matrix(tensors.size()));
        }
        return tensors;
    }

    private static void addKohya(
            Map<String, HostTensor> tensors, String module, int rank, float alpha) {
        tensors.put(
                module + ".lora_down.weight",
                new HostTensor(ElementType.FLOAT32, new long[] {rank, 4}, new byte[rank * 16]));
        tensors.put(
                module + ".lora_up.weight",
                new HostTensor(ElementType.FLOAT32, new long[] {5, rank}, new byte[rank * 20]));
        tensors.put(module + ".alpha", scalar(alpha));
    }

    private static HostTensor scalar(float value) {
        return new HostTensor(
                ElementType.FLOAT32,
                new long[0],
                SafetensorsWriter.tensor(ElementType.FLOAT32, 1, 1, value).data());
    }

    private static HostTensor matrix(int seed) {
        return SafetensorsWriter.tensor(
                ElementType.FLOAT32, 2, 3, seed, 1, -2.5f, 1e-20f, seed * 3, 5);
    }
}
