/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class GgufSourceTest {

    private static final Path VARIANTS = Path.of("../src/test/resources/goldens/variants");
    private static final Path GGUF = VARIANTS.resolve("formats/gguf");
    private static final FormatLimits LIMITS = FormatLimits.DEFAULTS;
    private static final FormatHints LLAMA = new FormatHints(4, 2);
    private static final String NAMES = "names are llama.cpp's";
    private static final String ROWS = "rows of query and key projections are in llama.cpp's order";

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
    public Object[][] exact() {
        return new Object[][] {
            {"llama-lora-f32.gguf", "llama/adapters/lora", LLAMA, List.of(NAMES, ROWS)},
            {"llama-alora-f32.gguf", "llama/adapters/alora", LLAMA, List.of(NAMES, ROWS)},
            {"qwen2-lora-f32.gguf", "qwen2/adapters/lora", new FormatHints(6, 2), List.of(NAMES)},
        };
    }

    @Test(dataProvider = "exact")
    public void tensorsAreThoseOfTheConvertedAdapter(
            String file, String adapter, FormatHints hints, List<String> notes) {
        Path path = GGUF.resolve(file);
        try (AdapterFiles files = AdapterFiles.open(path, LIMITS, hints)) {
            FormatGoldensTest.assertSame(files, adapter);
            assertEquals(files.notes(), notes);
            assertEquals(files.directory(), path.toAbsolutePath().getParent());
            assertEquals(files.config().get("peft_type").getAsString(), "LORA");
            assertEquals(files.config().get("r").getAsInt(), 4);
            assertEquals(files.config().get("lora_alpha").getAsInt(), 8);
            assertEquals(files.config().get("rank_pattern").toString(), "{}");
            assertEquals(files.config().get("alpha_pattern").toString(), "{}");
        }
    }

    @Test
    public void invocationTokensOfAnActivatedAdapterAreKept() throws IOException {
        Path config = VARIANTS.resolve("llama/adapters/alora/adapter_config.json");
        try (AdapterFiles files =
                AdapterFiles.open(GGUF.resolve("llama-alora-f32.gguf"), LIMITS, LLAMA)) {
            assertEquals(
                    files.config().get("alora_invocation_tokens"),
                    JsonParser.parseString(Files.readString(config))
                            .getAsJsonObject()
                            .get("alora_invocation_tokens"));
        }
    }

    @DataProvider
    public Object[][] rounded() {
        // bounds of one value's rounding, relative to the largest magnitude of its block or itself
        return new Object[][] {
            {"llama-lora-f16.gguf", SafetensorsType.F16, 0x1p-11},
            {"llama-lora-bf16.gguf", SafetensorsType.BF16, 0x1p-8},
            {"llama-lora-q8_0.gguf", SafetensorsType.F32, 1 / 127.0},
        };
    }

    @Test(dataProvider = "rounded")
    public void roundedTensorsAreNearThoseOfTheConvertedAdapter(
            String file, SafetensorsType type, double bound) {
        Path saved = VARIANTS.resolve("llama/adapters/lora/adapter_model.safetensors");
        try (AdapterFiles files = AdapterFiles.open(GGUF.resolve(file), LIMITS, LLAMA);
                SafetensorsFile original = SafetensorsFile.open(saved)) {
            boolean found = false;
            for (TensorInfo tensor : original.tensors().values()) {
                String name = tensor.name().substring("base_model.model.".length());
                TensorInfo info = files.tensors().get(name);
                found |= info.type() == type;
                float[] expected = floats(tensor, original.read(tensor));
                float[] actual = floats(info, files.read(name));
                double largest = 0;
                for (float value : expected) {
                    largest = Math.max(largest, Math.abs(value));
                }
                for (int i = 0; i < expected.length; i++) {
                    assertEquals(actual[i], expected[i], bound * largest, name + " at " + i);
                }
            }
            assertTrue(found, "no tensor has the type " + type);
        }
    }

    @Test
    public void blocksOfQ8AreMultipliedByTheirScale() throws IOException {
        byte[] blocks = new byte[2 * GgufType.BLOCK_BYTES];
        // 0.5 and -2 as float16
        blocks[1] = 0x38;
        blocks[GgufType.BLOCK_BYTES + 1] = (byte) 0xc0;
        for (int i = 0; i < 32; i++) {
            blocks[2 + i] = (byte) (i - 128);
            blocks[GgufType.BLOCK_BYTES + 2 + i] = (byte) (127 - i);
        }
        Path file = write(qwen().tensor("blk.0.attn_v.weight.lora_a", 8, blocks, 32, 2));
        try (AdapterFiles files = AdapterFiles.open(file, LIMITS)) {
            String name = "model.layers.0.self_attn.v_proj.lora_A.weight";
            TensorInfo info = files.tensors().get(name);
            assertEquals(info.shape(), new long[] {2, 32});
            assertEquals(info.size(), 256);
            float[] values = floats(info, files.read(name));
            for (int i = 0; i < 32; i++) {
                assertEquals(values[i], 0.5f * (i - 128));
                assertEquals(values[32 + i], -2f * (127 - i));
            }
            assertTrue(files.notes().contains("tensors of type Q8_0 are given as float32"));
        }
    }

    @Test
    public void embeddingsFirstMatrixIsTransposed() throws IOException {
        Path file =
                write(
                        qwen().tensor(
                                        "token_embd.weight.lora_a",
                                        0,
                                        GgufWriter.floats(1, 2, 3, 4, 5, 6),
                                        2,
                                        3)
                                .tensor(
                                        "token_embd.weight.lora_b",
                                        0,
                                        GgufWriter.floats(1, 2, 3, 4, 5, 6, 7, 8),
                                        2,
                                        4)
                                .tensor("output.weight.lora_a", 0, GgufWriter.floats(9, 9), 2, 1)
                                .number("adapter.lora.alpha", 4));
        try (AdapterFiles files = AdapterFiles.open(file, LIMITS)) {
            String a = "model.embed_tokens.lora_embedding_A";
            assertEquals(files.tensors().get(a).shape(), new long[] {2, 3});
            assertEquals(
                    floats(files.tensors().get(a), files.read(a)), new float[] {1, 3, 5, 2, 4, 6});
            String b = "model.embed_tokens.lora_embedding_B";
            assertEquals(files.tensors().get(b).shape(), new long[] {4, 2});
            assertEquals(files.read(b), GgufWriter.floats(1, 2, 3, 4, 5, 6, 7, 8));
            assertEquals(files.tensors().get("lm_head.lora_A.weight").shape(), new long[] {1, 2});
            assertEquals(files.originalName(a), "token_embd.weight.lora_a");
            assertEquals(
                    files.config().get("target_modules").toString(),
                    "[\"model.embed_tokens\",\"lm_head\"]");
            assertEquals(files.config().get("lora_alpha").getAsInt(), 4);
        }
    }

    @Test
    public void absentAlphaMeansAScaleOfOne() throws IOException {
        GgufWriter writer =
                qwen().tensor("blk.0.ffn_up.weight.lora_a", 0, new byte[24], 2, 3)
                        .tensor("blk.1.ffn_up.weight.lora_a", 0, new byte[24], 2, 3)
                        .tensor("blk.1.ffn_down.weight.lora_a", 0, new byte[8], 2, 1);
        for (Path file : List.of(write(writer), write(writer.number("adapter.lora.alpha", 0)))) {
            try (AdapterFiles files = AdapterFiles.open(file, LIMITS)) {
                String down = "{\"^model\\\\.layers\\\\.1\\\\.mlp\\\\.down_proj\":1}";
                assertEquals(files.config().get("r").getAsInt(), 3);
                assertEquals(files.config().get("lora_alpha").getAsInt(), 3);
                assertEquals(files.config().get("rank_pattern").toString(), down);
                assertEquals(files.config().get("alpha_pattern").toString(), down);
                assertTrue(
                        files.notes()
                                .contains(
                                        "there is no alpha, which to llama.cpp means a scale of"
                                                + " 1"));
            }
        }
    }

    @Test
    public void versionTwoIsRead() throws IOException {
        Path file =
                write(qwen().version(2).tensor("blk.0.ffn_up.weight.lora_a", 0, new byte[8], 2, 1));
        AdapterFiles.open(file, LIMITS).close();
    }

    @Test
    public void everyKindOfMetadataIsRead() throws IOException {
        GgufWriter writer = qwen().tensor("blk.0.ffn_up.weight.lora_a", 0, new byte[8], 2, 1);
        int[] sizes = {1, 1, 2, 2, 4, 4, 4, 1, -1, -1, 8, 8, 8};
        for (int type = 0; type < sizes.length; type++) {
            if (sizes[type] > 0) {
                writer.raw("x." + type, type, new byte[sizes[type]]);
                byte[] list = new byte[12 + 3 * sizes[type]];
                list[0] = (byte) type;
                list[4] = 3;
                writer.raw("list." + type, 9, list);
            }
        }
        writer.raw("list.8", 9, list(8, 2, 4, 0, 'a', 0, 0));
        writer.raw("list.long", 9, list(0, 5000, new int[1250]));
        AdapterFiles.open(write(writer), LIMITS).close();
    }

    @Test
    public void headsAreNeededForLlama() throws IOException {
        refused(
                GGUF.resolve("llama-lora-f32.gguf"),
                "has its rows in llama.cpp's order, which only the base model's numbers of heads"
                        + " undo; they are not in the file and were not given");
        GgufWriter query =
                GgufWriter.adapter("llama")
                        .tensor("blk.0.attn_q.weight.lora_b", 0, new byte[12 * 4], 1, 12);
        Path file = write(query);
        LoraException e =
                expectThrows(
                        LoraException.class,
                        () -> AdapterFiles.open(file, LIMITS, new FormatHints(8, 1)).close());
        assertTrue(
                e.getMessage().contains("has 12 rows, expected two halves for each of 8 heads"),
                e.getMessage());
        Path without =
                write(
                        GgufWriter.adapter("llama")
                                .tensor("blk.0.attn_v.weight.lora_a", 0, new byte[8], 2, 1));
        AdapterFiles.open(without, LIMITS).close();
    }

    @Test
    public void hintsAreNumbersOfHeads() {
        assertThrows(IllegalArgumentException.class, () -> new FormatHints(0, 1));
        assertThrows(IllegalArgumentException.class, () -> new FormatHints(4, 0));
        assertThrows(IllegalArgumentException.class, () -> new FormatHints(4, 3));
    }

    @Test
    public void otherKindsOfFilesAreRefused() throws IOException {
        GgufWriter model = new GgufWriter().text("general.type", "model");
        assertThrows(LoraVariantException.class, () -> AdapterFiles.open(write(model), LIMITS));
        refused(write(model), "general.type is \"model\", supported is \"adapter\"");
        refused(
                write(
                        new GgufWriter()
                                .text("general.type", "adapter")
                                .text("adapter.type", "control")),
                "adapter.type is \"control\", supported is \"lora\"");
        refused(write(new GgufWriter()), "the metadata has no \"general.type\"");
        refused(
                write(new GgufWriter().number("general.type", 1)),
                "the metadata's \"general.type\" is not a string");
        refused(
                write(GgufWriter.adapter("mamba")),
                "general.architecture is \"mamba\", supported are gemma, gemma2, llama, qwen2,"
                        + " qwen3");
        refused(write(qwen()), "the file has no LoRA matrices");
    }

    @Test
    public void otherTensorsAreRefused() throws IOException {
        for (String name :
                List.of(
                        "blk.0.attn_norm.weight",
                        "blk.0.attn_q.weight",
                        "blk.0.attn_q.weight.lora_c",
                        "blk.x.attn_q.weight.lora_a",
                        "blk.0.attn_qkv.weight.lora_a",
                        "other.weight.lora_a")) {
            refused(
                    write(qwen().tensor(name, 0, new byte[4], 1, 1)),
                    "tensor \"" + name + "\" is no LoRA matrix of a module that is known");
        }
    }

    @DataProvider
    public Object[][] wrongFiles() {
        String a = "blk.0.ffn_up.weight.lora_a";
        byte[] two = new byte[8];
        return new Object[][] {
            {qwen().version(1), "the version of GGUF is 1, allowed are 2 and 3"},
            {qwen().version(4), "the version of GGUF is 4"},
            {qwen().version(0x03000000), "the file is big endian, expected little endian"},
            {qwen().tensors(-1), "the file has 9223372036854775807 tensors, allowed are"},
            {qwen().tensors(1L << 40), "tensors, allowed are 1048576"},
            {qwen().tensors(3), "bytes are needed from byte"},
            {qwen().entries(-1), "entries, allowed are 65536"},
            {qwen().entries(1 << 20), "the metadata has 1048576 entries, allowed are 65536"},
            {qwen().text("adapter.type", "lora"), "has the key \"adapter.type\" twice"},
            {qwen().raw("x", 13, two), "the metadata's \"x\" has the type 13, allowed are 0 to 12"},
            {qwen().raw("x", -1, two), "has the type 4294967295"},
            {qwen().raw("x", 7, new byte[] {2}), "is the boolean 2, allowed are 0 and 1"},
            {qwen().raw("x", 9, list(9, 1)), "is a list of lists"},
            {qwen().raw("x", 9, list(0, 1 << 20)), "is a list of 1048576 values, more than"},
            {qwen().raw("x", 9, list(13, 1, 0, 0)), "has the type 13"},
            {qwen().raw("x", 8, new byte[] {-1, -1, -1, -1, 0, 0, 0, 0}), "has 4294967295 bytes"},
            {
                qwen().whole("general.alignment", 0),
                "must be a multiple of 8 up to 1048576, found 0"
            },
            {qwen().whole("general.alignment", 12), "found 12"},
            {qwen().text("general.alignment", "32"), "must be a multiple of 8 up to 1048576"},
            {qwen().tensor(a, 12, two, 2, 1), "has the type Q4_K, allowed are F32, F16, BF16 and"},
            {qwen().tensor(a, 24, two, 2, 1), "has the type I8, allowed are"},
            {qwen().tensor(a, 77, two, 2, 1), "has the unknown type 77"},
            {
                qwen().tensor(a, 8, two, 2, 1),
                "is Q8_0 with rows of 2 elements, expected whole blocks"
            },
            {qwen().tensor(a, 0, two, 2), "has 1 dimensions, expected 2"},
            {qwen().tensor(a, 0, two, 2, 1, 1), "has 3 dimensions, expected 2"},
            {qwen().tensor(a, 0, two, 2, 1, 1, 1, 1), "has 5 dimensions, allowed are 4"},
            {qwen().tensor(a, 0, two, 1L << 32, 1L << 32), "is larger than any can be"},
            {qwen().tensor(a, 0, two, 1L << 61, 1), "is larger than any can be"},
            {qwen().tensor(a, 0, two, -1, 1), "is larger than any can be"},
            {qwen().tensor(a, 0, two, 9, 1), "has 36 bytes from byte"},
            {qwen().tensor(a, 0, two, 2, 1).tensor(a, 0, two, 2, 1), "occurs twice"},
            {qwen().tensorAt(32, a, 0, two, 2, 1), "begins at byte 32 of the data, expected 0"},
            {qwen().tensorAt(-8, a, 0, two, 2, 1), "begins at byte 18446744073709551608"},
            {qwen().tensor(a, 0, two, 2, 1).tail(new byte[5]), "5 bytes follow the last tensor"},
            {qwen().tensor(a, 0, new byte[0], 2, 0), "has the rank 0, expected at least 1"},
            {
                qwen().tensor(a, 0, two, 2, 1).number("adapter.lora.alpha", Float.NaN),
                "has the alpha NaN"
            },
            {
                qwen().tensor(a, 0, two, 2, 1).text("adapter.lora.alpha", "8"),
                "the metadata's \"adapter.lora.alpha\" is not a float"
            },
            {
                qwen().tensor(a, 0, two, 2, 1).whole("adapter.alora.invocation_tokens", 8),
                "is not a short list of whole numbers"
            },
        };
    }

    @Test(dataProvider = "wrongFiles")
    public void wrongFilesAreRefused(GgufWriter writer, String message) throws IOException {
        refused(write(writer), message);
    }

    @Test
    public void limitsAreHeldBeforeDataIsRead() throws IOException {
        Path file =
                write(
                        qwen().tensor("blk.0.ffn_up.weight.lora_a", 0, new byte[8], 2, 1)
                                .tensor("blk.0.ffn_up.weight.lora_b", 0, new byte[8], 1, 2));
        refused(file, new FormatLimits(16, 1, 1 << 20, 1, 1, 1), "has 2 tensors, allowed are 1");
        refused(file, new FormatLimits(15, 2, 1 << 20, 1, 1, 1), "16 bytes, allowed are 15");
        refused(file, new FormatLimits(16, 2, 100, 1, 1, 1), "the data ends at byte 100");
        AdapterFiles.open(file, new FormatLimits(16, 2, 1 << 20, 1, 1, 1)).close();
    }

    @Test
    public void truncatedFilesAreRefused() throws IOException {
        byte[] whole = Files.readAllBytes(GGUF.resolve("qwen2-lora-f32.gguf"));
        for (int length = 4; length < whole.length; length += 1 + length / 16) {
            Path file = temp.path().resolve("cut.gguf");
            Files.write(file, Arrays.copyOf(whole, length));
            refused(file, "");
        }
    }

    @Test
    public void tensorOfAnotherSourceIsRefused() {
        Path path = GGUF.resolve("qwen2-lora-f32.gguf");
        try (GgufSource source = GgufSource.open(path, LIMITS, Optional.empty());
                GgufSource other = GgufSource.open(path, LIMITS, Optional.empty())) {
            TensorInfo info = other.tensors().values().iterator().next();
            assertEquals(source.path(), path);
            assertThrows(IllegalArgumentException.class, () -> source.read(info));
        }
    }

    private static GgufWriter qwen() {
        return GgufWriter.adapter("qwen2");
    }

    /** A list's type, its count, and what follows in words of four bytes. */
    private static byte[] list(int type, int count, int... rest) {
        int[] words = new int[3 + rest.length];
        words[0] = type;
        words[1] = count;
        System.arraycopy(rest, 0, words, 3, rest.length);
        return GgufWriter.ints(words);
    }

    private static float[] floats(TensorInfo info, byte[] data) {
        return new HostTensor(info.type().elementType().orElseThrow(), info.shape(), data)
                .toFloats();
    }

    private Path write(GgufWriter writer) throws IOException {
        return Files.write(temp.path().resolve("adapter.gguf"), writer.toByteArray());
    }

    private static void refused(Path file, String message) {
        refused(file, LIMITS, message);
    }

    private static void refused(Path file, FormatLimits limits, String message) {
        LoraException e =
                expectThrows(
                        LoraException.class,
                        () -> {
                            try (AdapterFiles files = AdapterFiles.open(file, limits)) {
                                throw new AssertionError("opened " + files.tensors());
                            }
                        });
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().contains(file.getFileName().toString()), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }
}
