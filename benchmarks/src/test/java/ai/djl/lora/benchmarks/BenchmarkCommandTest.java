/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;
import picocli.CommandLine;

/** The benchmarks run and report what they say they do; no speed is asserted. */
public class BenchmarkCommandTest {

    private static final List<String> COLUMNS =
            List.of(
                    "candidate",
                    "type",
                    "in x out",
                    "rank",
                    "rows",
                    "adapters",
                    "microseconds",
                    "spread",
                    "MB",
                    "MFLOP",
                    "read GB/s",
                    "GFLOP/s",
                    "share of limit");

    @Test
    public void testOneTinyBenchmark() throws IOException {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        Path json = Files.createTempFile("benchmark", ".json");
        try {
            StringWriter out = new StringWriter();
            StringWriter err = new StringWriter();
            int exitCode =
                    run(
                            out,
                            err,
                            "--json",
                            json.toString(),
                            "-p",
                            "batch=64x96-rmixed-t6-distinct3",
                            "-p",
                            "candidate=CPU",
                            "-p",
                            "rotate=1",
                            "-f",
                            "1",
                            "-wi",
                            "0",
                            "-i",
                            "1",
                            "-r",
                            "5ms");
            Assert.assertEquals(exitCode, 0, err.toString());
            Assert.assertTrue(err.toString().startsWith("1 of 1: cpu, "), err.toString());

            List<String> lines = out.toString().lines().filter(line -> !line.isBlank()).toList();
            Assert.assertEquals(lines.size(), 3, out.toString());
            Assert.assertEquals(List.of(lines.get(0).split(" {2,}")), COLUMNS);
            List<String> cells = List.of(lines.get(2).split(" {2,}"));
            Assert.assertEquals(cells.size(), COLUMNS.size(), lines.get(2));
            Assert.assertEquals(
                    cells.subList(0, 6),
                    List.of("cpu", "bfloat16", "64 x 96", "mixed", "6", "distinct of 3"));

            JsonArray rows = JsonParser.parseString(Files.readString(json)).getAsJsonArray();
            Assert.assertEquals(rows.size(), 1);
            JsonObject row = rows.get(0).getAsJsonObject();
            // two rows each of the ranks 4, 8 and 16; x once, y there and back, 2 bytes each
            Assert.assertEquals(row.get("bytes").getAsLong(), 2L * (28 * 160 + 6 * (64 + 192)));
            Assert.assertEquals(row.get("operations").getAsLong(), 2L * 2 * 28 * 160);
            double micros = row.get("micros").getAsDouble();
            double bandwidth = row.get("read_gb_per_second").getAsDouble();
            double rate = row.get("gflops_per_second").getAsDouble();
            Assert.assertTrue(micros > 0 && bandwidth > 0 && rate > 0, row.toString());
            double limit =
                    Math.max(
                            row.get("bytes").getAsLong() / (bandwidth * 1e3),
                            row.get("operations").getAsLong() / (rate * 1e3));
            Assert.assertEquals(
                    row.get("share_of_limit").getAsDouble(), limit / micros, limit / micros * 1e-9);
        } finally {
            Files.delete(json);
        }
    }

    @DataProvider
    public Object[][] refused() {
        return new Object[][] {
            {"is not a case", "-p", "batch=2048"},
            {"is not a candidate", "-p", "candidate=cuda"},
            {"is not a parameter", "-p", "shape=2048x2048"},
            {"is not a case", "--ranks", "0"},
            {"leave out the other lists", "--quick", "--ranks", "4"},
            {"leave out the lists", "--quick", "-p", "batch=8x8-r4-t1-distinct"},
            {"cannot be changed", "-bm", "thrpt"},
            {"not a recognized option", "--fast"}
        };
    }

    @Test(dataProvider = "refused")
    public void testRefused(String message, String... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        Assert.assertEquals(run(out, err, args), CommandLine.ExitCode.USAGE, err.toString());
        Assert.assertTrue(err.toString().contains(message), err.toString());
        Assert.assertEquals(err.toString().lines().count(), 1, err.toString());
    }

    private static int run(StringWriter out, StringWriter err, String... args) {
        return BenchmarkCommand.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .execute(args);
    }
}
