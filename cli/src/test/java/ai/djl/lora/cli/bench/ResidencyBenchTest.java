/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** The benchmark runs and reports what it says; no speed is asserted. */
public class ResidencyBenchTest {

    @Test
    public void testQuickReport() {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code =
                DjlLora.run(
                        new PrintWriter(out),
                        new PrintWriter(err),
                        "bench",
                        "residency",
                        "--quick",
                        "--json");
        Assert.assertEquals(code, 0, err.toString());
        JsonObject report = JsonParser.parseString(out.toString()).getAsJsonObject();
        JsonObject rates = report.getAsJsonObject("hit_rate");
        double best = rates.get("belady").getAsDouble();
        double optimum = rates.get("static_optimum").getAsDouble();
        for (String name : List.of("lru", "lfu", "w-tinylfu", "horizon-lfu", "adaptive")) {
            double rate = rates.get(name).getAsDouble();
            Assert.assertTrue(rate > 0.2 && rate < best, name + ": " + rate);
        }
        Assert.assertTrue(optimum < best, optimum + " of " + best);
        for (String name :
                List.of(
                        "acquire_release_ns_p50",
                        "cold_load_ms_p50",
                        "load_over_copy_bandwidth",
                        "allocation_us_p50",
                        "bookkeeping_mb",
                        "tenth_over_reloading_throughput",
                        "tenth_memory_saved",
                        "resident_over_base_latency_all")) {
            Assert.assertTrue(report.get(name).getAsDouble() > 0, name);
        }
        Assert.assertTrue(report.get("fragmentation").getAsDouble() < 0.1);
    }
}
