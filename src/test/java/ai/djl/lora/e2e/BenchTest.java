/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** The benchmarks run and report what they say they do; no speed is asserted. */
public class BenchTest {

    private static final String[] RATIOS = {
        "decode_share_of_bandwidth",
        "prefill_speedup_over_aten",
        "speedup_over_loop",
        "speedup_over_gather_bmm",
        "base_row_share_of_bandwidth",
        "base_row_speedup_over_aten",
        "grouped_speedup_over_three_calls"
    };

    @Test
    public void testOperator() {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        Execution execution =
                Execution.inProcess("bench", "operator", "--quick", "--json", "--rotate", "16");
        execution.assertExitCode(0);
        JsonObject report = JsonParser.parseString(execution.out()).getAsJsonObject();
        for (String ratio : RATIOS) {
            double value = report.get(ratio).getAsDouble();
            Assert.assertTrue(value > 0 && Double.isFinite(value), ratio + " is " + value);
        }
        Assert.assertTrue(Double.isFinite(report.get("base_only_overhead").getAsDouble()));
        JsonArray rows = report.get("rows").getAsJsonArray();
        Assert.assertEquals(rows.size(), 2);
        JsonObject decode = rows.get(0).getAsJsonObject();
        Assert.assertEquals(decode.get("name").getAsString(), "decode");
        // 32 adapters of rank 16 on [2048, 2048], x once, and y there and back, 2 bytes each
        long bytes = 2L * (32 * 16 * 4096 + 32 * 2048 * 3);
        Assert.assertEquals(decode.get("bytes").getAsLong(), bytes);
        Assert.assertTrue(decode.get("share_of_limit").getAsDouble() > 0);
    }

    @Test
    public void testPlotNeedsEveryCase() {
        Execution execution =
                Execution.inProcess("bench", "operator", "--quick", "--plot", "share.svg");
        execution.assertExitCode(2);
        Assert.assertTrue(execution.err().contains("--plot"), execution.err());
    }

    @Test
    public void testRotationTooSmallForAWeight() {
        Execution execution = Execution.inProcess("bench", "operator", "--rotate", "1");
        execution.assertExitCode(2);
        Assert.assertTrue(execution.err().contains("--rotate"), execution.err());
    }
}
