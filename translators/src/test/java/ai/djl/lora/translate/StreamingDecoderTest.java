/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Compares streamed text with the tokenizers library's decode of all tokens at once. */
public class StreamingDecoderTest {

    private static final Path TOKENIZERS = Path.of("../src/test/resources/goldens/tokenizers");
    private static final Path DEMO = Path.of("../examples/demo/base");
    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-F]{2})>");

    @DataProvider
    public Object[][] tokenizers() {
        return new Object[][] {
            {TOKENIZERS.resolve("byte-level")},
            {TOKENIZERS.resolve("llama")},
            {TOKENIZERS.resolve("gemma")},
            {TOKENIZERS.resolve("metaspace")},
            {TOKENIZERS.resolve("word-piece")},
            {TOKENIZERS.resolve("word-end")},
            {DEMO},
        };
    }

    @Test(dataProvider = "tokenizers")
    public void testTextOfManyScripts(Path folder) throws IOException {
        String file = Files.readString(TOKENIZERS.resolve("sentences.txt"));
        List<String> texts = new ArrayList<>(List.of(file.split("\0")));
        texts.add(String.join("\n", texts));
        try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
            for (String text : texts) {
                int[] tokens = tokenizer.encode(text);
                // wherever the prompt ends, also within a character
                for (int i = 0; i <= tokens.length; i += 1 + tokens.length / 50) {
                    int[] prompt = Arrays.copyOf(tokens, i);
                    int[] rest = Arrays.copyOfRange(tokens, i, tokens.length);
                    String shown = withoutHalf(stream(tokenizer, new int[0], prompt));
                    Assert.assertEquals(
                            shown + stream(tokenizer, prompt, rest), tokenizer.decode(tokens));
                }
            }
        }
    }

    @Test(dataProvider = "tokenizers")
    public void testRandomTokens(Path folder) throws IOException {
        SplittableRandom random = new SplittableRandom(11);
        try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
            Vocabulary vocabulary = new Vocabulary(folder.resolve("tokenizer.json"));
            int stray = 0;
            for (int run = 0; run < 3000; ++run) {
                // ids of the whole vocabulary and a few beyond
                int bound = vocabulary.size + 5;
                int[] prompt = random.ints(random.nextInt(20), 0, bound).toArray();
                int[] tokens = random.ints(random.nextInt(60), 0, bound).toArray();
                if (run % 3 == 0) {
                    // runs of bytes, often not valid, are rare among all tokens
                    for (int i = 0; i < tokens.length; ++i) {
                        tokens[i] = vocabulary.nearBytes(tokens[i], random);
                    }
                }
                if (run % 5 == 0) {
                    prompt = new int[0];
                }
                int[] all = Arrays.copyOf(prompt, prompt.length + tokens.length);
                System.arraycopy(tokens, 0, all, prompt.length, tokens.length);
                String streamed = stream(tokenizer, prompt, tokens);
                Assert.assertEquals(streamed, tokenizer.decodeContinuation(prompt, tokens));
                String whole = tokenizer.decode(all);
                String message = Arrays.toString(prompt) + Arrays.toString(tokens);
                if (vocabulary.hasMixedRun(all)) {
                    ++stray;
                    String expected = vocabulary.byCharacters(tokenizer, all);
                    if (prompt.length == 0) {
                        Assert.assertEquals(streamed, expected, message);
                    }
                    continue;
                }
                // a character that the prompt leaves half and the tokens complete is theirs
                String before = stream(tokenizer, new int[0], prompt);
                int same = 0;
                while (same < before.length() && whole.startsWith(before.substring(0, same + 1))) {
                    ++same;
                }
                Assert.assertTrue(before.substring(same).matches("\ufffd*"), message);
                Assert.assertEquals(streamed, whole.substring(same), message);
            }
            Assert.assertEquals(stray > 0, vocabulary.bytes.length > 0);
        }
    }

    @Test
    public void testCharactersArriveWhole() throws IOException {
        for (String kind : List.of("byte-level", "llama")) {
            try (TextTokenizer tokenizer = TextTokenizer.open(TOKENIZERS.resolve(kind), null)) {
                String text = "\ud83c\udf0b\ud83d\udc69\u200d\ud83d\udc67 \u2603";
                int[] tokens = tokenizer.encode(text);
                StreamingDecoder decoder = new StreamingDecoder(tokenizer);
                int waited = 0;
                StringBuilder all = new StringBuilder();
                for (int token : tokens) {
                    String next = decoder.push(token);
                    waited += next.isEmpty() ? 1 : 0;
                    Assert.assertEquals(next.indexOf('\ufffd'), -1);
                    Assert.assertFalse(
                            !next.isEmpty() && Character.isLowSurrogate(next.charAt(0)), next);
                    all.append(next);
                }
                Assert.assertTrue(waited >= 6, kind + " " + waited);
                Assert.assertEquals(all.toString(), text);
                Assert.assertEquals(decoder.finish(), "");
            }
        }
    }

    @Test
    public void testHalfACharacterIsAReplacementCharacterAtTheEnd() throws IOException {
        for (String kind : List.of("byte-level", "llama")) {
            try (TextTokenizer tokenizer = TextTokenizer.open(TOKENIZERS.resolve(kind), null)) {
                int[] tokens = tokenizer.encode("a\ud83c\udf0b");
                StreamingDecoder decoder =
                        new StreamingDecoder(tokenizer, Arrays.copyOf(tokens, tokens.length - 2));
                Assert.assertEquals(decoder.push(tokens[tokens.length - 2]), "");
                // of the byte tokens each counts, of a byte-level text the beginning as one;
                // the prompt's own text shows what the prompt's own bytes are
                Assert.assertEquals(decoder.finish(), kind.equals("llama") ? "\ufffd" : "");
                Assert.assertThrows(IllegalStateException.class, () -> decoder.push(1));
                Assert.assertEquals(decoder.finish(), "");
                StreamingDecoder completed =
                        new StreamingDecoder(tokenizer, Arrays.copyOf(tokens, tokens.length - 1));
                Assert.assertEquals(completed.push(tokens[tokens.length - 1]), "\ud83c\udf0b");
            }
        }
    }

    @Test
    public void testATokenCostsTheSameEverywhere() throws IOException {
        // half characters only: the decoder never is at a boundary
        try (TextTokenizer tokenizer = TextTokenizer.open(TOKENIZERS.resolve("byte-level"), null)) {
            int[] bytes = tokenizer.encode("\ud83c\udf0b");
            StreamingDecoder decoder = new StreamingDecoder(tokenizer);
            long[] fastest = new long[4];
            Arrays.fill(fastest, Long.MAX_VALUE);
            for (int block = 0; block < 40; ++block) {
                long start = System.nanoTime();
                for (int i = 0; i < 1000; ++i) {
                    decoder.push(bytes[i % 2]);
                }
                int quarter = block / 10;
                fastest[quarter] = Math.min(fastest[quarter], System.nanoTime() - start);
            }
            // With a window that grows with the text the last quarter takes 30 times the first;
            // the fastest of ten blocks hardly feels what else the machine does.
            Assert.assertTrue(fastest[3] < 3 * fastest[0], Arrays.toString(fastest));
        }
    }

    @Test
    public void testNegativeIdsAreRefused() throws IOException {
        try (TextTokenizer tokenizer = TextTokenizer.open(DEMO, null)) {
            StreamingDecoder decoder = new StreamingDecoder(tokenizer);
            IllegalArgumentException e =
                    Assert.expectThrows(IllegalArgumentException.class, () -> decoder.push(-1));
            Assert.assertEquals(e.getMessage(), "the token id is -1; it must be 0 or more");
        }
    }

    private static String stream(TextTokenizer tokenizer, int[] prompt, int... tokens) {
        StreamingDecoder decoder = new StreamingDecoder(tokenizer, prompt);
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            text.append(decoder.push(token));
        }
        return text.append(decoder.finish()).toString();
    }

    private static String withoutHalf(String text) {
        return text.replaceFirst("\ufffd+\\z", "");
    }

    /** A vocabulary as the file has it, for an oracle that shares nothing with the decoder. */
    private static final class Vocabulary {

        private final String[] tokens;
        private final boolean[] special;
        private final int[] bytes;
        private final int size;

        Vocabulary(Path file) throws IOException {
            JsonObject root = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
            JsonObject model = root.getAsJsonObject("model").getAsJsonObject("vocab");
            tokens = new String[2000];
            special = new boolean[2000];
            int largest = 0;
            for (Map.Entry<String, JsonElement> entry : model.entrySet()) {
                tokens[entry.getValue().getAsInt()] = entry.getKey();
                largest = Math.max(largest, entry.getValue().getAsInt());
            }
            for (JsonElement added : root.getAsJsonArray("added_tokens")) {
                int id = added.getAsJsonObject().get("id").getAsInt();
                tokens[id] = added.getAsJsonObject().get("content").getAsString();
                special[id] = added.getAsJsonObject().get("special").getAsBoolean();
                largest = Math.max(largest, id);
            }
            size = largest + 1;
            List<Integer> found = new ArrayList<>();
            for (int id = 0; id < size; ++id) {
                if (tokens[id] != null && BYTE.matcher(tokens[id]).matches()) {
                    found.add(id);
                }
            }
            bytes = found.stream().mapToInt(Integer::intValue).toArray();
        }

        /** Returns a byte token that often continues a character, or a token as it is. */
        int nearBytes(int token, SplittableRandom random) {
            if (bytes.length == 0) {
                return token % Math.min(size, 260);
            }
            int[] likely = {0xe2, 0x98, 0x83, 0xc3, 0xa4, 0xf0, 0x9f, 0x8c, 0x8b, 0x20, 0x41, 0xff};
            return random.nextInt(8) == 0 ? token : bytes[likely[random.nextInt(likely.length)]];
        }

        /** Tells whether bytes that follow each other are not valid and not all stray. */
        boolean hasMixedRun(int... all) {
            List<Integer> run = new ArrayList<>();
            for (int i = 0; i <= all.length; ++i) {
                int value = i < all.length ? byteOf(all[i]) : -1;
                if (value >= 0) {
                    run.add(value);
                } else if (i == all.length || !isSilent(all[i])) {
                    String text = characters(run);
                    if (text.indexOf('\ufffd') >= 0) {
                        return true;
                    }
                    run.clear();
                }
            }
            return false;
        }

        /** The definition: characters of a run as they are, every other byte replaced. */
        String byCharacters(TextTokenizer tokenizer, int... all) {
            StringBuilder text = new StringBuilder();
            List<Integer> run = new ArrayList<>();
            for (int i = 0; i <= all.length; ++i) {
                int value = i < all.length ? byteOf(all[i]) : -1;
                if (value >= 0) {
                    run.add(value);
                } else if (i == all.length || !isSilent(all[i])) {
                    text.append(characters(run));
                    run.clear();
                    if (i < all.length) {
                        text.append(tokens[all[i]].replace('\u2581', ' '));
                    }
                }
            }
            boolean strips = tokenizer.decode(bytes[' ']).isEmpty();
            String whole = text.toString();
            return strips && whole.startsWith(" ") ? whole.substring(1) : whole;
        }

        private boolean isSilent(int id) {
            return id >= size || tokens[id] == null || special[id];
        }

        private int byteOf(int id) {
            Matcher matcher = isSilent(id) ? null : BYTE.matcher(tokens[id]);
            return matcher != null && matcher.matches()
                    ? Integer.parseInt(matcher.group(1), 16)
                    : -1;
        }

        private static String characters(List<Integer> run) {
            StringBuilder text = new StringBuilder();
            int i = 0;
            while (i < run.size()) {
                String character = "\ufffd";
                int length = 1;
                for (int n = 1; n <= 4 && i + n <= run.size(); ++n) {
                    byte[] bytes = new byte[n];
                    for (int k = 0; k < n; ++k) {
                        bytes[k] = run.get(i + k).byteValue();
                    }
                    String decoded = new String(bytes, StandardCharsets.UTF_8);
                    if (decoded.indexOf('\ufffd') < 0
                            && decoded.codePointCount(0, decoded.length()) == 1) {
                        character = decoded;
                        length = n;
                        break;
                    }
                }
                text.append(character);
                i += length;
            }
            return text.toString();
        }
    }
}
