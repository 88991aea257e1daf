/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TextTokenizerTest {

    private TemporaryFolder folder;

    @BeforeClass
    public void setUp() {
        folder = new TemporaryFolder();
    }

    @AfterClass
    public void tearDown() throws IOException {
        folder.close();
    }

    @Test
    public void testTheFilesPaddingAndTruncationAreOff() throws IOException {
        TokenizerFiles.writeCharacters(folder.path());
        try (TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
            // 'A' is 33 behind the space.
            int a = TokenizerFiles.FIRST_CHARACTER + 'A' - ' ';
            Assert.assertEquals(tokenizer.encode("AB"), new int[] {TokenizerFiles.BEGIN, a, a + 1});
            String text = "x".repeat(3000);
            Assert.assertEquals(tokenizer.encode(text).length, 3001);
            Assert.assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
            Assert.assertEquals(tokenizer.encode(""), new int[] {TokenizerFiles.BEGIN});
        }
    }

    @Test
    public void testSpecialTokensAreNoText() throws IOException {
        TokenizerFiles.writeCharacters(folder.path());
        try (TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
            int a = TokenizerFiles.FIRST_CHARACTER + 'A' - ' ';
            Assert.assertEquals(
                    tokenizer.decode(TokenizerFiles.BEGIN, a, TokenizerFiles.END, a), "AA");
            Assert.assertEquals(tokenizer.decode(), "");
            // A model's vocabulary is often padded beyond its tokenizer's.
            Assert.assertEquals(tokenizer.decode(a, 5000), "A");
        }
    }

    @Test
    public void testAContinuationKeepsItsFirstSpace() throws IOException {
        TokenizerFiles.writeWords(folder.path(), "hello", "world");
        try (TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
            int[] prompt = tokenizer.encode("hello");
            int[] next = {TokenizerFiles.FIRST_CHARACTER + 1};
            Assert.assertEquals(prompt, new int[] {1, TokenizerFiles.FIRST_CHARACTER});
            Assert.assertEquals(tokenizer.decode(next), "world");
            Assert.assertEquals(tokenizer.decodeContinuation(prompt, next), " world");
            Assert.assertEquals(tokenizer.decodeContinuation(prompt, new int[0]), "");
        }
    }

    @Test
    public void testHalfSurrogatePairsAreRefused() throws IOException {
        TokenizerFiles.writeCharacters(folder.path());
        try (TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
            Assert.assertEquals(tokenizer.encode("\ud83d\ude00"), new int[] {1, 0});
            for (String text : new String[] {"ab\ud83d", "ab\ude00", "ab\ud83d\ud83d"}) {
                LoraConfigurationException e =
                        Assert.expectThrows(
                                LoraConfigurationException.class, () -> tokenizer.encode(text));
                Assert.assertTrue(
                        e.getMessage().startsWith("the text's character 2 is half a surrogate"),
                        e.getMessage());
            }
        }
    }

    @Test
    public void testTheOwnerClosesTheTokenizer() throws IOException {
        TokenizerFiles.writeCharacters(folder.path());
        NDManager owner = NDManager.newBaseManager("PyTorch");
        TextTokenizer tokenizer = TextTokenizer.open(folder.path(), owner);
        owner.close();
        Assert.expectThrows(IllegalStateException.class, () -> tokenizer.encode("A"));
        tokenizer.close();
    }

    @DataProvider
    public Object[][] brokenFiles() {
        return new Object[][] {{""}, {"{}"}, {"no JSON"}, {"{\"version\": \"1.0\""}};
    }

    @Test(dataProvider = "brokenFiles")
    public void testABrokenFileIsNamed(String content) throws IOException {
        Path file = folder.path().resolve("tokenizer.json");
        Files.writeString(file, content);
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> TextTokenizer.open(folder.path(), null));
        Assert.assertTrue(
                e.getMessage().startsWith(file + " is not a Hugging Face tokenizer: "),
                e.getMessage());
        Assert.assertEquals(e.getMessage().lines().count(), 1);
    }

    @Test
    public void testAMissingFileIsNamed() {
        Path missing = folder.path().resolve("missing");
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> TextTokenizer.open(missing, null));
        Assert.assertEquals(
                e.getMessage(),
                missing.resolve("tokenizer.json")
                        + " is not there; a model that is given text needs a Hugging Face"
                        + " tokenizer.json");
    }
}
