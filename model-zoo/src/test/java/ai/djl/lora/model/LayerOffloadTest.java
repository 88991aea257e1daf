/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** How many layers are offloaded. */
public class LayerOffloadTest {

    @DataProvider
    public Object[][] rooms() {
        // {layers, bytes that there are for them, offloaded}; a layer takes 10, each buffer too
        return new Object[][] {
            {6, 60, 0},
            {6, 59, 3},
            {6, 50, 3},
            {6, 49, 4},
            {6, 40, 4},
            {6, 30, 5},
            {6, 20, 6},
            {6, 19, 6},
            {6, -1, 6},
            {3, 29, 3},
            {2, 19, 0},
            {1, 0, 0},
        };
    }

    @Test(dataProvider = "rooms")
    public void asFewAsFit(int layers, long room, int offloaded) {
        assertEquals(LayerOffload.fewest(layers, 10, room), offloaded);
    }

    @Test
    public void aModelOnTheCpuKeepsItsLayers() {
        Path folder = TestModels.model("llama3");
        LlamaConfig config = LlamaConfig.read(folder);
        try (NDManager manager = NDManager.newBaseManager(null, "PyTorch");
                LoraContext context =
                        new LoraContext(
                                TestModels.backend("pytorch"), ElementType.FLOAT32, manager)) {
            AdapterStore store = new AdapterStore(context);
            LoraConfigurationException refused =
                    expectThrows(
                            LoraConfigurationException.class,
                            () ->
                                    LlamaBlock.load(
                                            folder, config, context, store, OptionalInt.of(1)));
            assertEquals(
                    refused.getMessage(),
                    "Argument offload_layers is 1, and the model lies on cpu(); layers are"
                            + " offloaded from a GPU alone");
        }
        try (TestModels.Loaded model = TestModels.load("llama3", "pytorch")) {
            assertTrue(model.block().getOffloadStatistics().isEmpty());
        }
    }
}
