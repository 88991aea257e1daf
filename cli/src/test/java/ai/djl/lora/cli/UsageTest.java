/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class UsageTest {

    @DataProvider
    public Object[][] wrongUsage() {
        String generate = " (see 'djl-lora generate --help')";
        String verify = " (see 'djl-lora verify --help')";
        return new Object[][] {
            {
                "",
                "djl-lora: Missing command; expected one of demo, generate, serve, verify, doctor,"
                        + " plan, bench, adapters, config, health, metrics, completion"
                        + " (see 'djl-lora --help')"
            },
            {"generate", "djl-lora: Missing required option: '--model=DIR_OR_URL'" + generate},
            {
                "generate --model m --dtype float8",
                "djl-lora: Invalid value for option '--dtype': Unknown data type \"float8\";"
                        + " allowed are float32, float16, bfloat16"
                        + generate
            },
            {
                "generate --model m --adapter upper",
                "djl-lora: Invalid value for option '--adapter' (NAME=DIR): \"upper\" is not of the"
                        + " form NAME=DIR"
                        + generate
            },
            {
                "generate --model m --adapter a=x --adapter a=y",
                "djl-lora: Invalid value for option '--adapter': a is given twice" + generate
            },
            {
                "generate --model m --max-new-tokens 0",
                "djl-lora: --max-new-tokens is 0; it must be 1 or more" + generate
            },
            {
                "generate --model m --temperature NaN",
                "djl-lora: --temperature is NaN; it must be 0 (greedy) or a finite number above"
                        + generate
            },
            {
                "generate --model m --n 3 --best-of 2",
                "djl-lora: --best-of is 2; it must be 0 (as --n) or between --n, which is 3, and"
                        + " 128"
                        + generate
            },
            {
                "generate --model m --stop-token-ids 4,-5",
                "djl-lora: a token of --stop-token-ids is -5; it must be 0 or more" + generate
            },
            {
                "generate --model m --regex a --choice b",
                "djl-lora: Error: --regex=PATTERN, --choice=TEXT are mutually exclusive (specify"
                        + " only one)"
                        + generate
            },
            {
                "generate --model m --json-schema no-such-file",
                "djl-lora: no-such-file: no such file"
            },
            {
                "verify --model m --golden g --tolerance -1",
                "djl-lora: Invalid value for option '--tolerance': -1.0 is not a finite number of 0"
                        + " or more"
                        + verify
            },
            {"generate --model m --input no-such-file", "djl-lora: no-such-file: no such file"},
        };
    }

    @Test(dataProvider = "wrongUsage")
    public void testWrongUsage(String args, String message) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exitCode =
                DjlLora.run(
                        new PrintWriter(out),
                        new PrintWriter(err),
                        args.isEmpty() ? new String[0] : args.split(" "));
        Assert.assertEquals(err.toString(), message + System.lineSeparator());
        Assert.assertEquals(exitCode, 2);
        Assert.assertEquals(out.toString(), "");
    }

    @Test
    public void testUnknownOptionIsOneLine() {
        StringWriter err = new StringWriter();
        int exitCode =
                DjlLora.run(
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(err),
                        "demo",
                        "--jsno");
        Assert.assertEquals(exitCode, 2);
        Assert.assertEquals(err.toString().lines().count(), 1, err.toString());
        Assert.assertTrue(err.toString().contains("'--jsno'"), err.toString());
    }
}
