/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.nn.LoraBlockFactory;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import java.nio.file.Path;
import java.util.Map;

/**
 * Builds {@link LlamaBlock}s from Hugging Face folders.
 *
 * <p>Folders with a {@code config.json} get this factory by themselves; where DJL does not see that
 * they are such folders, name this class in the argument {@code blockFactory}, together with the
 * option {@code hasParameter=false}.
 */
public final class LlamaBlockFactory extends LoraBlockFactory {

    private static final long serialVersionUID = 1L;

    /** {@inheritDoc} */
    @Override
    protected AdaptedBlock newBlock(
            Path modelPath, LoraContext context, AdapterStore store, Map<String, ?> arguments) {
        return LlamaBlock.load(modelPath, LlamaConfig.read(modelPath), context, store);
    }

    /**
     * Returns the checkpoint's own type, as {@code config.json} or else the stored embedding has
     * it, if the backend computes in it, and float32 otherwise.
     *
     * @param modelPath the model's folder
     * @param backend the backend
     * @return the type
     */
    @Override
    protected ElementType preferredType(Path modelPath, LoraBackend backend) {
        ElementType stored =
                LlamaConfig.read(modelPath)
                        .storedType()
                        .orElseGet(() -> LlamaWeights.storedType(modelPath));
        // libtorch multiplies float16 slowly on CPUs, and activations may leave its range
        if (stored != ElementType.FLOAT16 && backend.supports(stored)) {
            return stored;
        }
        return backend.supports(ElementType.FLOAT32) ? ElementType.FLOAT32 : ElementType.BFLOAT16;
    }
}
