/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.util.Utils;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** The engine's benchmarks run and report what they say; no speed is asserted. */
public class EngineBenchTest {

    private static final String[] TINY = {
        "--model",
        "synthetic:qwen2-tiny",
        "--adapters",
        "3",
        "--rank",
        "4",
        "--prompt-tokens",
        "8",
        "--max-new-tokens",
        "6",
        "--json"
    };

    @BeforeClass
    public void needsTheLibrary() {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
    }

    private static JsonObject run(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = DjlLora.run(new PrintWriter(out), new PrintWriter(err), arguments);
        Assert.assertEquals(code, 0, err.toString());
        return JsonParser.parseString(out.toString()).getAsJsonObject();
    }

    private static String[] arguments(String name, String... more) {
        List<String> arguments = new ArrayList<>(List.of("bench", name));
        arguments.addAll(List.of(TINY));
        arguments.addAll(List.of(more));
        return arguments.toArray(new String[0]);
    }

    private static void assertPercentiles(JsonObject report, String name) {
        JsonObject times = report.getAsJsonObject(name);
        double half = times.get("p50").getAsDouble();
        double most = times.get("p99").getAsDouble();
        Assert.assertTrue(half > 0, name);
        Assert.assertTrue(half <= times.get("p90").getAsDouble(), name);
        Assert.assertTrue(times.get("p90").getAsDouble() <= most, name);
    }

    @Test
    public void testThroughput() {
        JsonObject report =
                run(arguments("throughput", "--requests", "4", "--rounds", "2", "--dtype=float32"));
        for (String name :
                List.of(
                        "tokens_per_second",
                        "decode_tokens_per_second",
                        "base_tokens_per_second",
                        "retention",
                        "share_of_limit")) {
            Assert.assertTrue(report.get(name).getAsDouble() > 0, name);
        }
        assertPercentiles(report, "ttft_ms");
        assertPercentiles(report, "tpot_ms");
    }

    @Test
    public void testLatency() throws IOException {
        Path plot = Files.createTempFile("latency", ".svg");
        try {
            JsonObject report =
                    run(arguments("latency", "--requests=6", "--rates=400,200", "--plot=" + plot));
            JsonArray rates = report.getAsJsonArray("rates");
            Assert.assertEquals(rates.size(), 2);
            double before = 0;
            for (int i = 0; i < rates.size(); ++i) {
                JsonObject row = rates.get(i).getAsJsonObject();
                Assert.assertTrue(row.get("requests_per_second").getAsDouble() > before);
                before = row.get("requests_per_second").getAsDouble();
                for (JsonObject times : List.of(row, row.getAsJsonObject("base"))) {
                    Assert.assertTrue(times.get("tokens_per_second").getAsDouble() > 0);
                    assertPercentiles(times, "ttft_ms");
                    assertPercentiles(times, "tpot_ms");
                    assertPercentiles(times, "latency_ms");
                }
            }
            String drawing = Files.readString(plot);
            Assert.assertEquals(drawing.split("<polyline ", -1).length - 1, 12);
        } finally {
            Files.delete(plot);
        }
    }

    @Test
    public void testAModelOfOnesOwn() throws IOException {
        Path folder = Files.createTempDirectory("bench");
        try {
            SyntheticModel.named("qwen2-tiny").writeModel(folder.resolve("mine"));
            JsonObject report =
                    run(
                            "bench",
                            "throughput",
                            "--model=" + folder.resolve("mine"),
                            "--folder=" + folder,
                            "--popularity=uniform",
                            "--adapters=2",
                            "--requests=2",
                            "--prompt-tokens=4",
                            "--max-new-tokens=3",
                            "--rounds=1",
                            "--json");
            Assert.assertTrue(report.get("retention").getAsDouble() > 0);
            Assert.assertTrue(Files.exists(folder.resolve("adapters-r16/adapter1")));
        } finally {
            Utils.deleteQuietly(folder);
        }
    }
}
