/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.lora.LoraException;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.nn.Block;
import ai.djl.nn.BlockFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * The block factory that repositories give DJL for Hugging Face folders: that of the architecture,
 * with failures in DJL's own type.
 */
final class HuggingFaceBlockFactory implements BlockFactory {

    private static final long serialVersionUID = 1L;

    /**
     * {@inheritDoc}
     *
     * <p>Fails with a {@link MalformedModelException}, which DJL's loaders declare though this
     * method does not, if the model cannot be loaded.
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
        boolean loaded = false;
        try {
            Block block = new LlamaBlockFactory().newBlock(model, modelPath, arguments);
            loaded = true;
            return block;
        } catch (LoraException e) {
            throw HuggingFaceBlockFactory.<RuntimeException>undeclared(
                    new MalformedModelException(e.getMessage(), e));
        } finally {
            if (!loaded) {
                // DJL drops a model that fails to load without closing it
                model.close();
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Exception> E undeclared(Exception exception) throws E {
        throw (E) exception;
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return LlamaBlockFactory.class.getName();
    }
}
