/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.jni.CudaStatus;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.nn.BlockFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Builds models whose linear layers can be adapted, from the arguments that a {@code Criteria}
 * gives:
 *
 * <ul>
 *   <li>{@code backend}: the backend's name; the best one by default
 *   <li>{@code dtype}: {@code float32}, {@code float16}, {@code bfloat16} or {@code auto}, which is
 *       the default
 *   <li>{@code adapter_dtype}: how resident adapters are held, {@code model} (the default: in the
 *       model's type) or {@code int8}
 *   <li>{@code residency}: a YAML file, or a section of one as {@code FILE#SECTION}, that says how
 *       many adapters are kept where, see {@link ai.djl.lora.config.ResidencyConfig}
 *   <li>{@code adapters}: adapters to register at once, {@code name=directory,name=directory}
 *   <li>{@code adapter_registry}: a directory where the adapters are on record over restarts,
 *       relative to the model's folder
 *   <li>{@code enable_lora}: with true, the folders in the model's own folder {@code adapters} are
 *       registered as well; with false, {@code adapters} must name none
 *   <li>{@code max_loras}, {@code max_cpu_loras}: how many adapters are kept on the device and in
 *       the host's memory
 *   <li>{@code max_lora_rank}: the highest rank that an adapter may have
 *   <li>{@code lora_dtype}: {@code auto}, the model's type, or {@code int8}, as {@code
 *       adapter_dtype}
 * </ul>
 *
 * <p>The model lies on the device of its {@code Criteria}: the CPU, or a GPU.
 *
 * <p>The last five are DJL Serving's names; a {@code serving.properties} in the model's folder may
 * have them with {@code option.} before them.
 */
public abstract class LoraBlockFactory implements BlockFactory {

    /** The argument that names the backend. */
    public static final String BACKEND = "backend";

    /** The argument that names the type of weights and activations. */
    public static final String DTYPE = "dtype";

    /** The argument that names how resident adapters are held. */
    public static final String ADAPTER_DTYPE = "adapter_dtype";

    /** The argument that names the file which says how adapters are kept. */
    public static final String RESIDENCY = "residency";

    /** The argument that lists the adapters to register. */
    public static final String ADAPTERS = "adapters";

    /** The argument that names the directory where the adapters are on record. */
    public static final String ADAPTER_REGISTRY = "adapter_registry";

    /** The argument that switches adapters on or off, by DJL Serving's name. */
    public static final String ENABLE_LORA = "enable_lora";

    /** The argument that says how many adapters are kept on the device, by DJL Serving's name. */
    public static final String MAX_LORAS = "max_loras";

    /** The argument that says how many adapters the host's memory keeps, by DJL Serving's name. */
    public static final String MAX_CPU_LORAS = "max_cpu_loras";

    /** The argument that says what rank an adapter may have, by DJL Serving's name. */
    public static final String MAX_LORA_RANK = "max_lora_rank";

    /** The argument that names how resident adapters are held, by DJL Serving's name. */
    public static final String LORA_DTYPE = "lora_dtype";

    /** The value of {@link #DTYPE} that leaves the choice to the model and the backend. */
    public static final String AUTO = "auto";

    private static final long serialVersionUID = 1L;

    /**
     * {@inheritDoc}
     *
     * <p>The block comes with its weights. It is freed with the model's manager.
     *
     * <p>If an argument, the model's folder or an adapter is wrong, this fails with a {@link
     * MalformedModelException} whose cause says what; DJL's loaders declare that exception, though
     * this method cannot. The model is closed then, since DJL drops it as it is.
     */
    @Override
    public final AdaptedBlock newBlock(Model model, Path modelPath, Map<String, ?> arguments)
            throws IOException {
        boolean built = false;
        try {
            AdaptedBlock block = build(model, modelPath, arguments);
            built = true;
            return block;
        } catch (LoraException e) {
            throw LoraBlockFactory.<RuntimeException>undeclared(
                    new MalformedModelException(e.getMessage(), e));
        } finally {
            if (!built) {
                model.close();
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Exception> E undeclared(Exception exception) throws E {
        throw (E) exception;
    }

    private AdaptedBlock build(Model model, Path modelPath, Map<String, ?> arguments)
            throws IOException {
        Device device = model.getNDManager().getDevice();
        requireDevice(device);
        BackendManager backends =
                BackendManager.builder()
                        .optDevice(device)
                        .optPreferred(text(arguments, BACKEND))
                        .build();
        LoraBackend backend = backends.current();
        String dtype = text(arguments, DTYPE);
        ElementType type =
                dtype == null || AUTO.equals(dtype)
                        ? preferredType(modelPath, backend)
                        : ElementType.ofLabel(dtype);
        LoraContext context = new LoraContext(backends, type, model.getNDManager());
        AdapterArguments adapters = new AdapterArguments(modelPath, arguments);
        adapters.applyType(context);
        model.getNDManager()
                .attachInternal("lora-context-" + System.identityHashCode(context), context);
        AdapterStore store = adapters.open(context);
        AdaptedBlock block = newBlock(modelPath, context, store, arguments);
        adapters.register(store);
        return block;
    }

    /* DJL would hand out arrays on a GPU that is not there, which end in libtorch's own words. */
    private static void requireDevice(Device device) {
        if (device.isGpu() && LoraLibrary.isAvailable()) {
            CudaStatus.read()
                    .whyNoDevice(device.getDeviceId())
                    .ifPresent(
                            reason -> {
                                throw new LoraConfigurationException(
                                        "The model cannot lie on " + device + ": " + reason);
                            });
        }
    }

    /**
     * Builds the model.
     *
     * @param modelPath the model's folder
     * @param context what the adapted layers share; weights belong to its manager
     * @param store the model's adapters
     * @param arguments all arguments
     * @return the model, with its weights
     * @throws IOException if a file cannot be read
     */
    protected abstract AdaptedBlock newBlock(
            Path modelPath, LoraContext context, AdapterStore store, Map<String, ?> arguments)
            throws IOException;

    /**
     * Returns the type to compute in where the user leaves the choice.
     *
     * @param modelPath the model's folder
     * @param backend the backend
     * @return a type that the backend supports
     * @throws IOException if a file cannot be read
     */
    protected abstract ElementType preferredType(Path modelPath, LoraBackend backend)
            throws IOException;

    private static String text(Map<String, ?> arguments, String key) {
        Object value = arguments == null ? null : arguments.get(key);
        return value == null ? null : value.toString();
    }
}
