/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.nn.LoraBlockFactory;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Builds {@link LlamaBlock}s from Hugging Face folders.
 *
 * <p>Folders with a {@code config.json} get this factory by themselves; where DJL does not see that
 * they are such folders, name this class in the argument {@code blockFactory}, together with the
 * option {@code hasParameter=false}.
 *
 * <p>Beside the arguments of every {@link LoraBlockFactory} there is {@value #OFFLOAD_LAYERS}.
 */
public final class LlamaBlockFactory extends LoraBlockFactory {

    /**
     * The argument that says how many decoder layers' weights stay in the host's memory and are
     * brought to the GPU in each step: a number, or {@code auto}, which is the default.
     */
    public static final String OFFLOAD_LAYERS = "offload_layers";

    private static final long serialVersionUID = 1L;

    /** {@inheritDoc} */
    @Override
    protected AdaptedBlock newBlock(
            Path modelPath, LoraContext context, AdapterStore store, Map<String, ?> arguments) {
        Object offloaded = arguments == null ? null : arguments.get(OFFLOAD_LAYERS);
        return LlamaBlock.load(
                modelPath,
                LlamaConfig.read(modelPath),
                context,
                store,
                offloadLayers(offloaded == null ? AUTO : offloaded.toString()));
    }

    /**
     * Reads the value of {@link #OFFLOAD_LAYERS}.
     *
     * @param value the value
     * @return the number of layers; empty for {@code auto}
     * @throws LoraConfigurationException if it is neither
     */
    public static OptionalInt offloadLayers(String value) {
        if (value.equals(AUTO)) {
            return OptionalInt.empty();
        }
        if (value.matches("[0-9]{1,6}")) {
            return OptionalInt.of(Integer.parseInt(value));
        }
        throw new LoraConfigurationException(
                OFFLOAD_LAYERS
                        + " is "
                        + Message.quote(value)
                        + "; it must be auto or a number of layers");
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
