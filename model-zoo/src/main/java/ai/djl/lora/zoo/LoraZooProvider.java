/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.repository.zoo.ModelZoo;
import ai.djl.repository.zoo.ZooProvider;

/** Tells DJL of {@link LoraModelZoo}. */
public final class LoraZooProvider implements ZooProvider {

    /** {@inheritDoc} */
    @Override
    public ModelZoo getModelZoo() {
        return new LoraModelZoo();
    }
}
