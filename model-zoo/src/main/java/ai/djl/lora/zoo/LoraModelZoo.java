/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.repository.zoo.ModelZoo;
import java.util.Set;

/**
 * The models that come with this project: the demo model, artifact {@code demo}.
 *
 * <p>A user's own models need no zoo: {@code Criteria.optModelPath} takes their folders.
 */
public final class LoraModelZoo extends ModelZoo {

    /** The group of this project's models. */
    public static final String GROUP_ID = "io.github.djl-lora";

    static final String ENGINE = "PyTorch";
    static final String DEMO = "demo";

    LoraModelZoo() {
        if (DemoModel.isPackaged()) {
            addModel(DemoRepositoryFactory.newRepository().zooModel());
        }
    }

    /** {@inheritDoc} */
    @Override
    public String getGroupId() {
        return GROUP_ID;
    }

    /** {@inheritDoc} */
    @Override
    public Set<String> getSupportedEngines() {
        return Set.of(ENGINE);
    }
}
