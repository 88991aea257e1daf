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

/** {@code adapters diff} and its exit codes. */
public class AdaptersDiffTest {

    private static final Path LORA = AdapterCopy.original("llama", "lora");

    @Test
    public void testEqual() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            copy.edit(config -> config.addProperty("lora_dropout", 0.5));
            Execution run = diff(LORA, copy.folder()).assertExitCode(0);
            Assert.assertTrue(run.out().startsWith("same revision  "), run.out());
        }
        Path pickle = AdapterCopy.VARIANTS.resolve("formats/bin-zip");
        diff(LORA, pickle).assertExitCode(0);
    }

    @Test
    public void testAnotherAlpha() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            copy.edit(config -> config.addProperty("lora_alpha", 9));
            Execution run = diff(LORA, copy.folder()).assertExitCode(1);
            Assert.assertTrue(run.out().contains("configuration  lora_alpha: 8 -> 9"), run.out());
            Assert.assertTrue(run.out().contains("2 -> 2.25"), run.out());
            Assert.assertTrue(run.out().contains("product "), run.out());
            JsonObject json =
                    JsonParser.parseString(
                                    Execution.inProcess(
                                                    "adapters",
                                                    "diff",
                                                    "--json",
                                                    LORA,
                                                    copy.folder())
                                            .assertExitCode(1)
                                            .out())
                            .getAsJsonObject();
            Assert.assertFalse(json.get("equal").getAsBoolean());
            Assert.assertEquals(json.getAsJsonArray("modules").size(), 14);
            JsonObject module = json.getAsJsonArray("modules").get(0).getAsJsonObject();
            double largest =
                    module.getAsJsonObject("largest_difference").get("product").getAsDouble();
            Assert.assertTrue(largest > 0 && largest < 1, module.toString());
        }
    }

    @Test
    public void testUnreadable() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            TestTensors.truncate(copy.weights(), 1);
            Execution run = diff(LORA, copy.folder()).assertExitCode(2);
            Assert.assertEquals(run.err().lines().count(), 1, run.err());
        }
        Execution kind = diff(LORA, AdapterCopy.original("llama", "vera-noproj")).assertExitCode(2);
        Assert.assertTrue(kind.err().contains("save_projection=True"), kind.err());
    }

    private static Execution diff(Path one, Path other) {
        return Execution.inProcess("adapters", "diff", one, other);
    }
}
