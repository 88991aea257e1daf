/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.nn.Blocks;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Models of this project are told from others without any type of the project. */
public class LoraModelsTest {

    @Test
    public void testTheDemoModelIsOurs() throws Exception {
        Criteria<Input, Output> criteria =
                Criteria.builder()
                        .setTypes(Input.class, Output.class)
                        .optModelPath(Path.of("../examples/demo/base"))
                        .optArgument(
                                "translatorFactory",
                                "ai.djl.lora.translate.TextGenerationTranslatorFactory")
                        .build();
        try (ZooModel<Input, Output> model = criteria.loadModel()) {
            Assert.assertTrue(LoraModels.isAdapted(model.getBlock()));
        }
    }

    @Test
    public void testOtherModelsAreNot() {
        Assert.assertFalse(LoraModels.isAdapted(Blocks.identityBlock()));
        // as DJL Serving's Python models have it
        Assert.assertFalse(LoraModels.isAdapted(null));
    }
}
