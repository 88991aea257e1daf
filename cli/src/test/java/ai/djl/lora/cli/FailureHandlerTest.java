/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.MalformedModelException;
import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;
import picocli.CommandLine;

public class FailureHandlerTest {

    @DataProvider
    public Object[][] failures() {
        return new Object[][] {
            {new LoraConfigurationException("a file is wrong"), 2, "djl-lora: a file is wrong"},
            {new LoraConfigurationException("one\n  two\n"), 2, "djl-lora: one; two"},
            {
                new MalformedModelException("outer", new LoraCompatibilityException("inner")),
                2,
                "djl-lora: inner"
            },
            {
                new TranslateException(
                        new IllegalStateException(new LoraConfigurationException("inner"))),
                2,
                "djl-lora: inner"
            },
            {new MalformedModelException("not a model"), 2, "djl-lora: not a model"},
            {new NoSuchFileException("x.jsonl"), 2, "djl-lora: x.jsonl: no such file"},
            {new AccessDeniedException("x.jsonl"), 2, "djl-lora: x.jsonl: permission denied"},
            {new IOException("disk is full"), 2, "djl-lora: disk is full"},
            {
                new IllegalStateException("oops"),
                70,
                "djl-lora: unexpected failure: java.lang.IllegalStateException: oops"
                        + " (run again with --stacktrace to see where)"
            },
            {
                new UnsatisfiedLinkError("no lib"),
                70,
                "djl-lora: unexpected failure: java.lang.UnsatisfiedLinkError: no lib"
                        + " (run again with --stacktrace to see where)"
            },
        };
    }

    @Test(dataProvider = "failures")
    public void testReport(Throwable failure, int exitCode, String line) {
        StringWriter err = new StringWriter();
        CommandLine commandLine = new DjlLora().commandLine().setErr(new PrintWriter(err, true));
        Assert.assertEquals(new FailureHandler(() -> false).report(failure, commandLine), exitCode);
        Assert.assertEquals(err.toString(), line + System.lineSeparator());
    }

    @Test
    public void testStackTrace() {
        StringWriter err = new StringWriter();
        CommandLine commandLine = new DjlLora().commandLine().setErr(new PrintWriter(err, true));
        new FailureHandler(() -> true).report(new IllegalStateException("oops"), commandLine);
        Assert.assertTrue(
                err.toString()
                        .startsWith(
                                "djl-lora: unexpected failure: java.lang.IllegalStateException: oops"),
                err.toString());
        Assert.assertTrue(err.toString().contains("testStackTrace"), err.toString());
    }
}
