/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.Test;

public class StopStringsTest {

    @Test
    public void testWhatMayBecomeAStopStringIsHeldBack() {
        StopStrings stops = new StopStrings(List.of("</call>", "\n\n"));
        Assert.assertEquals(stops.push("a<"), "a");
        Assert.assertEquals(stops.push("/ca"), "");
        Assert.assertEquals(stops.push("</c"), "</ca");
        Assert.assertEquals(stops.match(), Optional.empty());
        Assert.assertEquals(stops.push("x> more"), "</cx> more");
        Assert.assertEquals(stops.push("\n"), "");
        Assert.assertEquals(stops.push("x\n"), "\nx");
        Assert.assertEquals(stops.push("\nnever"), "");
        Assert.assertEquals(stops.match(), Optional.of("\n\n"));
        Assert.assertEquals(stops.push("never"), "");
        Assert.assertEquals(stops.finish(), "");
    }

    @Test
    public void testTheRestComesAtTheEnd() {
        StopStrings stops = new StopStrings(List.of("stop"));
        Assert.assertEquals(stops.push("do not sto"), "do not ");
        Assert.assertEquals(stops.finish(), "sto");
        StopStrings none = new StopStrings(List.of());
        Assert.assertEquals(none.push("all at once"), "all at once");
        Assert.assertEquals(none.finish(), "");
    }

    @Test
    public void testTheFirstToEndWinsAndThenTheLongest() {
        StopStrings stops = new StopStrings(List.of("b", "abc", "cab", "ab"));
        Assert.assertEquals(stops.push("xcabc"), "x");
        Assert.assertEquals(stops.match(), Optional.of("cab"));
    }

    @Test
    public void testThePiecesDoNotMatter() {
        SplittableRandom random = new SplittableRandom(5);
        int found = 0;
        for (int run = 0; run < 20_000; ++run) {
            List<String> stops = new ArrayList<>();
            for (int i = random.nextInt(4); i >= 0; --i) {
                stops.add(letters(random, 1 + random.nextInt(6)));
            }
            String text = letters(random, random.nextInt(40));
            StopStrings streamed = new StopStrings(stops);
            StringBuilder got = new StringBuilder();
            int position = 0;
            while (position < text.length()) {
                int next = Math.min(text.length(), position + random.nextInt(5));
                got.append(streamed.push(text.substring(position, next)));
                // nothing that could still be taken back has been returned
                Assert.assertTrue(cut(text, stops).startsWith(got.toString()));
                position = next;
            }
            got.append(streamed.finish());
            Assert.assertEquals(got.toString(), cut(text, stops), text + stops);
            found += streamed.match().isPresent() ? 1 : 0;
        }
        Assert.assertTrue(found > 5000 && found < 19_000, String.valueOf(found));
    }

    @Test
    public void testAcrossTokens() throws IOException {
        Path folder = Path.of("../src/test/resources/goldens/tokenizers/byte-level");
        try (TextTokenizer tokenizer = TextTokenizer.open(folder, null)) {
            StreamingDecoder decoder = new StreamingDecoder(tokenizer);
            StopStrings stops = new StopStrings(List.of("\u2603\ud83c\udf0b!"));
            StringBuilder text = new StringBuilder();
            for (int token : tokenizer.encode("One \u2603 and \u2603\ud83c\udf0b!\u2603 over")) {
                text.append(stops.push(decoder.push(token)));
            }
            Assert.assertEquals(text.toString(), "One \u2603 and ");
            Assert.assertEquals(stops.match(), Optional.of("\u2603\ud83c\udf0b!"));
        }
    }

    @Test
    public void testAnEmptyStopStringIsRefused() {
        IllegalArgumentException e =
                Assert.expectThrows(
                        IllegalArgumentException.class, () -> new StopStrings(List.of("a", "")));
        Assert.assertEquals(
                e.getMessage(), "stop string 1 is empty; it would end every text at once");
    }

    /** The definition: the text before the stop string that ends first, then the longest. */
    private static String cut(String text, List<String> stops) {
        for (int end = 1; end <= text.length(); ++end) {
            int longest = 0;
            for (String stop : stops) {
                if (text.substring(0, end).endsWith(stop)) {
                    longest = Math.max(longest, stop.length());
                }
            }
            if (longest > 0) {
                return text.substring(0, end - longest);
            }
        }
        return text;
    }

    private static String letters(SplittableRandom random, int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; ++i) {
            text.append((char) ('a' + random.nextInt(3)));
        }
        return text.toString();
    }
}
