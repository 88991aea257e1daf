/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.TokenConstraint;
import com.google.gson.Gson;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.Reporter;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The bytes of tokens, beside what the tokenizers library makes of texts and of tokens. */
public class TokenizerVocabularyTest {

    private static final Path TOKENIZERS = Path.of("../src/test/resources/goldens/tokenizers");

    @DataProvider
    public Object[][] kinds() {
        return new Object[][] {{"llama"}, {"gemma"}, {"byte-level"}, {"metaspace"}};
    }

    private static TokenizerVocabulary vocabulary(TextTokenizer tokenizer, Path folder) {
        return new TokenizerVocabulary(
                TokenNames.read(folder.resolve("tokenizer.json")), tokenizer.pieces());
    }

    /** What tokens write behind a prompt is their bytes, wherever those are UTF-8. */
    @Test(dataProvider = "kinds")
    public void testTheBytesAreTheText(String kind) {
        Path folder = TOKENIZERS.resolve(kind);
        SplittableRandom random = new SplittableRandom(3);
        String[] words = {
            "the ",
            " a",
            "\u00e4\u00f6",
            "\u65e5",
            "\ud83c\udf0b",
            "\n",
            "{\"x\": 1}",
            "  ",
            "=",
            "\u0000"
        };
        try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
            TokenizerVocabulary vocabulary = vocabulary(tokenizer, folder);
            int[] prompt = tokenizer.encode("prompt");
            for (int i = 0; i < 200; ++i) {
                StringBuilder text = new StringBuilder();
                for (int k = 0; k < 6; ++k) {
                    text.append(words[random.nextInt(words.length)]);
                }
                int[] tokens = tokenizer.encode(text.toString(), false);
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                for (int token : tokens) {
                    byte[] own = vocabulary.bytes(token);
                    bytes.writeBytes(own == null ? new byte[0] : own);
                }
                Assert.assertEquals(
                        bytes.toString(StandardCharsets.UTF_8),
                        tokenizer.decodeContinuation(prompt, tokens),
                        kind);
            }
        }
    }

    @Test
    public void testEveryByteCanBeWritten() {
        for (String kind : List.of("llama", "gemma", "byte-level")) {
            Path folder = TOKENIZERS.resolve(kind);
            try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
                TokenizerVocabulary vocabulary = vocabulary(tokenizer, folder);
                BitSet bytes = new BitSet();
                for (int token = 0; token < vocabulary.size(); ++token) {
                    byte[] own = vocabulary.bytes(token);
                    if (own != null && own.length == 1) {
                        bytes.set(own[0] & 0xff);
                    }
                }
                Assert.assertEquals(bytes.cardinality(), 256, kind);
            }
        }
    }

    @Test
    public void testSpecialTokensAreNoText() {
        Path folder = TOKENIZERS.resolve("byte-level");
        try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
            TokenizerVocabulary vocabulary = vocabulary(tokenizer, folder);
            Assert.assertEquals(vocabulary.size(), 424);
            Assert.assertNull(vocabulary.bytes(420));
            Assert.assertNull(vocabulary.bytes(421));
            // added, and text all the same
            Assert.assertEquals(
                    new String(vocabulary.bytes(422), StandardCharsets.UTF_8), "<call me>");
        }
    }

    @Test
    public void testACharacterOfManyTokensCanBeAsked() {
        try (TextTokenizer tokenizer = TextTokenizer.open(TOKENIZERS.resolve("llama"), null)) {
            TokenConstraint constraint =
                    tokenizer
                            .constraints()
                            .compile(new OutputConstraint.Choice(List.of("\ud83c\udf0b")))
                            .begin();
            int[] bytes = tokenizer.encode("a\ud83c\udf0b", false);
            for (int i = bytes.length - 4; i < bytes.length; ++i) {
                long[] mask = new long[7];
                constraint.fillMask(mask);
                Assert.assertTrue(BitSet.valueOf(mask).get(bytes[i]));
                Assert.assertEquals(BitSet.valueOf(mask).cardinality(), 1);
                constraint.accept(bytes[i]);
            }
            Assert.assertTrue(constraint.isComplete());
            Assert.assertSame(tokenizer.constraints(), tokenizer.constraints());
        }
    }

    /** Words whose ends their neighbours decide cannot be put together blindly. */
    @Test
    public void testATokenizerWhoseTokensCannotBeToldIsRefused() {
        try (TextTokenizer tokenizer = TextTokenizer.open(TOKENIZERS.resolve("word-end"), null)) {
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class,
                            () ->
                                    tokenizer
                                            .constraints()
                                            .compile(new OutputConstraint.JsonObject()));
            Assert.assertEquals(
                    e.getMessage(),
                    "the vocabulary cannot write any text that the constraint accepts");
        }
    }

    /** A vocabulary as large as Qwen's; how long it takes is told, not judged. */
    @Test
    public void testALargeVocabulary() throws IOException {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            int size = 152_000;
            writeByteLevel(folder.path(), size);
            try (TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
                long start = System.nanoTime();
                tokenizer.constraints();
                long built = System.nanoTime();
                TokenConstraint constraint =
                        tokenizer
                                .constraints()
                                .compile(
                                        new OutputConstraint.JsonSchema(
                                                "{\"type\": \"object\", \"properties\": {\"name\": {\"type\":"
                                                        + " \"string\"}, \"n\": {\"type\":"
                                                        + " \"integer\"}}, \"required\": [\"name\"]}"))
                                .begin();
                long compiled = System.nanoTime();
                long[] mask = new long[(size + 63) / 64];
                int[] tokens = tokenizer.encode("{\"name\": \"", false);
                for (int token : tokens) {
                    constraint.accept(token);
                }
                long before = System.nanoTime();
                constraint.fillMask(mask);
                long filled = System.nanoTime();
                Assert.assertTrue(BitSet.valueOf(mask).cardinality() > size / 2);
                Reporter.log(
                        String.format(
                                "%d tokens: vocabulary %d ms, schema %d ms, a string's mask %d us",
                                size,
                                (built - start) / 1_000_000,
                                (compiled - built) / 1_000_000,
                                (filled - before) / 1_000),
                        true);
            }
        }
    }

    private static void writeByteLevel(Path folder, int size) throws IOException {
        Map<String, Integer> vocabulary = new LinkedHashMap<>();
        for (int c = 33; vocabulary.size() < 256; ++c) {
            // the characters that stand for bytes
            boolean letter = c <= 126 || c >= 161 && c <= 255 && c != 173 || c >= 256 && c < 324;
            if (letter) {
                vocabulary.put(String.valueOf((char) c), vocabulary.size());
            }
        }
        SplittableRandom random = new SplittableRandom(1);
        while (vocabulary.size() < size) {
            StringBuilder word = new StringBuilder(random.nextBoolean() ? "\u0120" : "");
            int letters = 2 + random.nextInt(8);
            for (int i = 0; i < letters; ++i) {
                word.append((char) ('a' + random.nextInt(26)));
            }
            vocabulary.putIfAbsent(word.toString(), vocabulary.size());
        }
        Map<String, Object> level =
                Map.of(
                        "type",
                        "ByteLevel",
                        "add_prefix_space",
                        false,
                        "trim_offsets",
                        true,
                        "use_regex",
                        true);
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("version", "1.0");
        root.put("added_tokens", List.of());
        root.put("pre_tokenizer", level);
        root.put("decoder", level);
        root.put("model", Map.of("type", "BPE", "vocab", vocabulary, "merges", List.of()));
        Files.writeString(folder.resolve("tokenizer.json"), new Gson().toJson(root));
    }
}
