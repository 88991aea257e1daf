/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.LoraContext;
import ai.djl.nn.Block;

/** A model whose linear layers can be adapted. */
public interface AdaptedBlock extends Block {

    /**
     * Returns what the adapted layers share.
     *
     * @return the context
     */
    LoraContext getLoraContext();

    /**
     * Returns the model's adapters.
     *
     * @return the store, through which adapters are registered and leased
     */
    AdapterStore getAdapters();
}
