/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class PromptReaderTest {

    private final PromptReader reader =
            new PromptReader(List.of("prompt", "adapter"), Set.of("prompt"));

    @Test
    public void testLines() throws IOException {
        String text =
                "{\"prompt\": \"a\\n\\u00e9\", \"adapter\": \"upper\"}\n\n  \n"
                        + "{\"adapter\": null, \"prompt\": \"b\"}\r\n"
                        + "{\"prompt\": \"ä\"}";
        List<PromptReader.Line> lines = read(text.getBytes(StandardCharsets.UTF_8));
        Assert.assertEquals(lines.size(), 3);
        Assert.assertEquals(lines.get(0).get("prompt"), "a\né");
        Assert.assertEquals(lines.get(0).get("adapter"), "upper");
        Assert.assertEquals(lines.get(1).get("adapter"), "");
        Assert.assertEquals(lines.get(1).where(), "in, line 4");
        Assert.assertEquals(lines.get(2).get("prompt"), "ä");
        Assert.assertEquals(lines.get(2).get("adapter"), "");
    }

    @DataProvider
    public Object[][] wrongLines() {
        return new Object[][] {
            {"hello", "in, line 2: is not a JSON object, at column "},
            {"{\"prompt\": \"a\"", "in, line 2: is not JSON: it ends too early"},
            {"{'prompt': 'a'}", "in, line 2: is not a JSON object, at column "},
            {"{\"prompt\": \"a\"} {}", "in, line 2: is not a JSON object, at column "},
            {"[\"a\"]", "in, line 2: found an array, expected a JSON object"},
            {"{\"adapter\": \"a\"}", "in, line 2: field \"prompt\" is missing"},
            {"{\"prompt\": 3}", "in, line 2: field \"prompt\" is a number, expected a string"},
            {"{\"prompt\": null}", "in, line 2: field \"prompt\" is null, expected a string"},
            {
                "{\"prompt\": \"a\", \"prompt\": \"b\"}",
                "in, line 2: field \"prompt\" is there twice"
            },
            {
                "{\"prompt\": \"a\", \"adaptor\": \"b\"}",
                "in, line 2: unknown field \"adaptor\", expected prompt, adapter"
            },
        };
    }

    @Test(dataProvider = "wrongLines")
    public void testWrongLine(String line, String message) {
        String text = "{\"prompt\": \"a\"}\n" + line + "\n";
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> read(text.getBytes(StandardCharsets.UTF_8)));
        Assert.assertTrue(e.getMessage().startsWith(message), e.getMessage());
        Assert.assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }

    @Test
    public void testNotUtf8() {
        byte[] latin1 = "{\"prompt\": \"\u00e9\"}".getBytes(StandardCharsets.ISO_8859_1);
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, () -> read(latin1));
        Assert.assertEquals(e.getMessage(), "in, line 1: is not UTF-8");
    }

    private List<PromptReader.Line> read(byte[] bytes) throws IOException {
        return reader.read(new ByteArrayInputStream(bytes), "in");
    }
}
