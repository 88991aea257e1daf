/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.TargetModules;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class RankScaleTest {

    private static RankScale read(String json) {
        ConfigFields fields =
                new ConfigFields("config", JsonParser.parseString(json).getAsJsonObject());
        return RankScale.read(fields, "lora_alpha", fields.flag("use_rslora"));
    }

    /** alpha / r = 8 / 16 = 0.5; with rsLoRA alpha / sqrt(r) = 8 / sqrt(16) = 2. */
    @Test
    public void scalesAsComputedByHand() {
        assertEquals(read("{\"r\": 16, \"lora_alpha\": 8}").scaleOf("x"), 0.5f);
        assertEquals(read("{\"r\": 16, \"lora_alpha\": 8, \"use_rslora\": true}").scaleOf("x"), 2f);
        // 6 / sqrt(3) = 3.4641016
        assertEquals(
                read("{\"r\": 3, \"lora_alpha\": 6, \"use_rslora\": true}").scaleOf("x"),
                3.4641016f);
        // the patterns' rank 4 and alpha 10: 10 / sqrt(4) = 5, and 6 / sqrt(9) = 2 elsewhere
        RankScale patterns =
                read(
                        "{\"r\": 9, \"lora_alpha\": 6, \"use_rslora\": true, \"rank_pattern\":"
                                + " {\"q\": 4}, \"alpha_pattern\": {\"a.q\": 10}}");
        assertEquals(patterns.rankOf("a.q"), 4);
        assertEquals(patterns.scaleOf("a.q"), 5f);
        assertEquals(patterns.scaleOf("b.q"), 3f);
        assertEquals(patterns.scaleOf("a.v"), 2f);
    }

    @Test
    public void refusesAScaleThatFloatsCannotHold() {
        for (String alpha : List.of("1e300", "1e-300")) {
            RankScale scales = read("{\"r\": 3, \"lora_alpha\": " + alpha + "}");
            String message =
                    expectThrows(LoraConfigurationException.class, () -> scales.scaleOf("q_proj"))
                            .getMessage();
            assertTrue(message.startsWith("config: the scale of module \"q_proj\" is "), message);
            assertTrue(message.endsWith(", which float32 cannot hold"), message);
        }
    }

    /** Cases on which PEFT itself was asked; tools/fixtures/make_peft_modules.py. */
    @DataProvider
    public Object[][] peftCases() throws IOException {
        JsonObject golden =
                JsonParser.parseString(
                                Files.readString(Path.of("src/test/resources/peft-modules.json")))
                        .getAsJsonObject();
        int layers = golden.get("layers").getAsInt();
        List<Object[]> cases = new ArrayList<>();
        for (JsonElement each : golden.getAsJsonArray("cases")) {
            JsonObject item = each.getAsJsonObject();
            cases.add(
                    new Object[] {
                        item.get("name").getAsString(),
                        item.getAsJsonObject("config"),
                        item.getAsJsonObject("modules"),
                        layers
                    });
        }
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "peftCases")
    public void agreesWithPeft(String name, JsonObject fields, JsonObject modules, int layers) {
        JsonObject config = new JsonObject();
        config.addProperty("r", 3);
        config.addProperty("lora_alpha", 6);
        config.add("target_modules", new JsonArray());
        fields.asMap().forEach(config::add);
        ConfigFields read = new ConfigFields("config", config);
        TargetModules targets = TargetModules.read(read);
        RankScale scales = RankScale.read(read, "lora_alpha", read.flag("use_rslora"));
        int adapted = 0;
        for (String module : llamaModules(layers)) {
            JsonElement expected = modules.get(module);
            assertEquals(targets.contains(module), expected != null, module);
            if (expected != null) {
                JsonObject values = expected.getAsJsonObject();
                assertEquals(scales.rankOf(module), values.get("rank").getAsInt(), module);
                // PEFT keeps a double, which PyTorch narrows when it multiplies float32
                assertEquals(
                        scales.scaleOf(module), (float) values.get("scale").getAsDouble(), module);
                adapted++;
            }
        }
        assertEquals(adapted, modules.size());
        assertTrue(adapted > 0);
    }

    private static List<String> llamaModules(int layers) {
        List<String> modules = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            for (String name : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
                modules.add("model.layers." + i + ".self_attn." + name);
            }
            for (String name : List.of("gate_proj", "up_proj", "down_proj")) {
                modules.add("model.layers." + i + ".mlp." + name);
            }
        }
        modules.add("lm_head");
        return modules;
    }
}
