/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.json;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class StrictJsonTest {

    @Test
    public void readsEveryKindOfValue() {
        JsonObject json =
                StrictJson.parseObject(
                        " {\"a\": [1, 2.50, null, true], \"b\": {\"c\": \"\\u00e9\"}, \"\": -1e3}\n",
                        "x");
        assertEquals(json.toString(), "{\"a\":[1,2.50,null,true],\"b\":{\"c\":\"é\"},\"\":-1e3}");
    }

    @DataProvider
    public Object[][] wrong() {
        return new Object[][] {
            {"", "x: the JSON ends too early"},
            {"{\"a\": 1", "x: the JSON ends too early"},
            {"[]", "x: expected a JSON object, found an array"},
            {"\"a\"", "x: expected a JSON object, found a string"},
            {"{} {}", "x: not JSON: malformed at line 1 column 5 path $"},
            {"{\"a\": 1, \"b\": 2, \"a\": 3}", "x: the name \"a\" occurs twice"},
            {"{\"a\": {\"b\": 2, \"b\": 3}}", "x: the name \"a.b\" occurs twice"},
            {"{\"a\": [{\"b\": 2, \"b\": 3}]}", "x: the name \"a.b\" occurs twice"},
            {"{a: 1}", "x: not JSON: malformed at line 1 column 3 path $."},
            {"{\"a\": NaN}", "x: not JSON: malformed at line 1 column 7 path $.a"},
            {"{\"a\": 01}", "x: not JSON: malformed at line 1 column 7 path $.a"},
            {"{\"a\": TRUE}", "x: not JSON: malformed at line 1 column 7 path $.a"},
            {"{\"a\": 1,}", "x: not JSON: Expected name at line 1 column 10 path $.a"},
            {
                "{\"Use JsonReader.setStrictness(Strictness.LENIENT)\": 1 2}",
                "x: not JSON: Unterminated object at line 1 column 57 path $.Use"
                        + " JsonReader.setStrictness(Strictness.LENIENT)"
            },
            {"{// c\n}", "x: not JSON: malformed at line 1 column 3 path $."},
            {
                "{\"a\":" + "[".repeat(64) + "]".repeat(64) + "}",
                "x: the JSON nests deeper than 64 levels"
            },
        };
    }

    @Test(dataProvider = "wrong")
    public void refuses(String text, String message) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class, () -> StrictJson.parseObject(text, "x"));
        assertEquals(e.getMessage(), message);
    }

    @Test
    public void namesOfAnyLengthDoNotFloodAMessage() {
        String text = "{\"" + "n".repeat(9999) + "\": 1 2}";
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class, () -> StrictJson.parseObject(text, "x"));
        assertTrue(e.getMessage().length() < 400 && e.getMessage().endsWith("nnn..."));
    }

    @Test
    public void refusesFilesThatAreMissingLargeOrNotUtf8() throws IOException {
        try (TempDirectory directory = new TempDirectory()) {
            Path file = directory.path().resolve("a.json");
            assertEquals(failure(file, 9), file + ": there is no such file");
            Files.writeString(file, "{\"a\": 1234}");
            assertEquals(failure(file, 9), file + ": the file has 11 bytes, allowed are 9");
            Files.write(file, new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'});
            assertEquals(failure(file, 9), file + ": the file is not UTF-8");
            assertTrue(failure(directory.path(), 9999).contains(": cannot be read: "));
        }
    }

    private static String failure(Path file, int maxBytes) {
        return expectThrows(
                        LoraConfigurationException.class,
                        () -> StrictJson.readObject(file, maxBytes))
                .getMessage();
    }

    @Test
    public void messagesStayOnOneLineAndShort() {
        assertEquals(Message.quote("a\nb\u0000\u2028c"), "\"a\\u000ab\\u0000\\u2028c\"");
        String shown = Message.quote("x".repeat(100_000));
        assertTrue(shown.length() < 200 && shown.contains("(100000 characters)"), shown);
        assertFalse(Message.oneLine("a\r\nb").contains("\n"));
    }
}
