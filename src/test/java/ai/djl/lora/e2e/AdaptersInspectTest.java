/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.Test;

/** {@code adapters inspect} says what an adapter holds, without a model. */
public class AdaptersInspectTest {

    @Test
    public void testText() {
        Execution run =
                Execution.inProcess("adapters", "inspect", AdapterCopy.original("llama", "lora"))
                        .assertExitCode(0);
        Assert.assertTrue(run.out().contains("variant        LoRA"), run.out());
        Assert.assertTrue(run.out().contains("15616 bytes in 28 tensors"), run.out());
        Assert.assertTrue(run.out().contains("  lora_alpha = 8"), run.out());
        Assert.assertTrue(
                run.out().contains("model.layers.0.mlp.down_proj.lora_A.weight     F32    [4, 56]"),
                run.out());
    }

    @Test
    public void testJson() {
        Path adapter = AdapterCopy.original("qwen2", "rslora");
        JsonObject found = inspect(adapter);
        Assert.assertEquals(found.get("variant").getAsString(), "rsLoRA");
        Assert.assertTrue(found.getAsJsonObject("config").get("use_rslora").getAsBoolean());
        Assert.assertEquals(found.getAsJsonArray("issues").size(), 0, found.toString());
        JsonObject report =
                JsonParser.parseString(
                                Execution.inProcess(
                                                "adapters",
                                                "validate",
                                                "--json",
                                                "--model",
                                                AdapterCopy.base("qwen2"),
                                                adapter)
                                        .assertExitCode(0)
                                        .out())
                        .getAsJsonObject();
        Assert.assertEquals(found.get("revision"), report.get("revision"));
        Assert.assertEquals(
                found.getAsJsonArray("modules").size(), report.getAsJsonArray("modules").size());
    }

    @Test
    public void testUnreadable() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            TestTensors.truncate(copy.weights(), 1);
            Execution run =
                    Execution.inProcess("adapters", "inspect", copy.folder()).assertExitCode(2);
            Assert.assertEquals(run.err().lines().count(), 1, run.err());
            Assert.assertEquals(run.out(), "");
        }
    }

    private static JsonObject inspect(Path adapter) {
        Execution run =
                Execution.inProcess("adapters", "inspect", "--json", adapter).assertExitCode(0);
        return JsonParser.parseString(run.out()).getAsJsonObject();
    }
}
