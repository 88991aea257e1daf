/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.Model;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.nn.Block;
import ai.djl.nn.BlockFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * The block factory that repositories give DJL for Hugging Face folders: that of the architecture.
 */
final class HuggingFaceBlockFactory implements BlockFactory {

    private static final long serialVersionUID = 1L;

    /**
     * {@inheritDoc}
     *
     * @return the block; null, with which DJL goes on as if there were no factory, if the user
     *     chose an engine other than PyTorch
     */
    @Override
    public Block newBlock(Model model, Path modelPath, Map<String, ?> arguments)
            throws IOException {
        if (!LoraModelZoo.ENGINE.equals(model.getNDManager().getEngine().getEngineName())) {
            return null;
        }
        return new LlamaBlockFactory().newBlock(model, modelPath, arguments);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return LlamaBlockFactory.class.getName();
    }
}
