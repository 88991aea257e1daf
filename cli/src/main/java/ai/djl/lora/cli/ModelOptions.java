/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.DeviceName;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.op.AdapterType;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.NoopTranslator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** The options of every command that runs a model: in which type, and by which backend. */
public final class ModelOptions {

    // One letter and a colon is a drive, not a scheme.
    private static final Pattern URL = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]+:.*");

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            converter = TypeConverter.class,
            description =
                    "The type to compute in, float32, float16 or bfloat16, whatever the files"
                            + " hold."
                            + " Default: float32 on the CPU, bfloat16 on a GPU.")
    private ElementType type;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description =
                    "Where the model lies and is computed: cpu, gpu, or gpu:N with the GPU's number"
                            + " from 0. Default: cpu.")
    private String device;

    @Option(
            names = "--offload-layers",
            paramLabel = "COUNT",
            description =
                    "How many of the model's layers, from the last on, lie in the host's memory and"
                            + " are brought to the GPU in each step, or auto: as few as the GPU's"
                            + " memory allows. Default: auto.")
    private String offloadLayers;

    @Option(
            names = "--backend",
            paramLabel = "NAME",
            description =
                    "What computes: cpu (the native operators), cuda (their kernels for NVIDIA"
                            + " GPUs), jit (the same, compiled here for the adapters' rank) or"
                            + " pytorch (plain NDArray operations). Default: the first of them"
                            + " that works on the device; 'djl-lora doctor' tells which and why.")
    private String backend;

    @Option(
            names = "--adapter-dtype",
            paramLabel = "TYPE",
            defaultValue = "model",
            description =
                    "How adapters are held in memory: model (in the type of --dtype) or int8 (A"
                            + " and B as 8-bit integers with a scale for each rank component)."
                            + " Default: model.")
    private String adapterType;

    @Option(
            names = "--residency",
            paramLabel = "FILE",
            description =
                    "A YAML file that says how many adapters are kept in which memory, what leaves"
                            + " first, and where their registry is kept; see docs/residency.md."
                            + " Default: 100 adapters on the device and 1,000 in the host's"
                            + " memory.")
    private Path residency;

    /**
     * Takes what a configuration file says of the model, where no option does.
     *
     * @param given the options that were given
     * @param arguments the file's values, by the names that {@code Criteria} takes
     */
    void fallBackTo(ParseResult given, Map<String, String> arguments) {
        if (device == null) {
            device = arguments.get(DeviceName.ARGUMENT);
        }
        if (!given.hasMatchedOption("--dtype") && arguments.containsKey("dtype")) {
            type = ElementType.ofLabel(arguments.get("dtype"));
        }
        if (offloadLayers == null) {
            offloadLayers = arguments.get(LlamaBlockFactory.OFFLOAD_LAYERS);
        }
        if (backend == null) {
            backend = arguments.get("backend");
        }
        if (!given.hasMatchedOption("--adapter-dtype") && arguments.containsKey("adapter_dtype")) {
            adapterType = arguments.get("adapter_dtype");
        }
        if (residency == null && arguments.containsKey("residency")) {
            residency = Path.of(arguments.get("residency"));
        }
    }

    /**
     * Returns the type to compute in.
     *
     * @return the type
     */
    public ElementType type() {
        if (type != null) {
            return type;
        }
        return device().isGpu() ? ElementType.BFLOAT16 : ElementType.FLOAT32;
    }

    /**
     * Returns where the model is to lie.
     *
     * @return the device
     * @throws LoraConfigurationException if its name is none
     */
    public Device device() {
        return device == null ? Device.cpu() : DeviceName.parse(device);
    }

    /**
     * Returns whether numbers are rounded to fewer than float32's 24 bits.
     *
     * @return whether weights, activations or adapters are held in 16 bits or fewer
     */
    public boolean rounds() {
        return type() != ElementType.FLOAT32 || !AdapterType.MODEL.label().equals(adapterType);
    }

    /**
     * Loads a model.
     *
     * @param model a folder in Hugging Face layout, or a URL
     * @return the model, owned by the caller
     * @throws IOException if a file cannot be read
     * @throws ModelNotFoundException if there is no such model
     * @throws MalformedModelException if its files are not a model
     */
    public ZooModel<NDList, NDList> open(String model)
            throws IOException, ModelNotFoundException, MalformedModelException {
        Criteria.Builder<NDList, NDList> criteria =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optEngine("PyTorch")
                        .optDevice(device())
                        .optTranslator(new NoopTranslator())
                        .optArgument("dtype", type().label())
                        .optArgument("adapter_dtype", adapterType);
        if (offloadLayers != null) {
            criteria.optArgument(LlamaBlockFactory.OFFLOAD_LAYERS, offloadLayers);
        }
        if (backend != null) {
            criteria.optArgument("backend", backend);
        }
        if (residency != null) {
            criteria.optArgument("residency", residency.toString());
        }
        if (URL.matcher(model).matches()) {
            try {
                criteria.optModelUrls(model);
            } catch (IllegalArgumentException e) {
                throw new LoraConfigurationException(e.getMessage(), e);
            }
        } else {
            criteria.optModelPath(folder(model));
        }
        return criteria.build().loadModel();
    }

    /**
     * Returns a model's folder.
     *
     * @param model the path as it was given
     * @return the folder, which has a {@code config.json}
     * @throws LoraConfigurationException if there is no such folder, or no such file in it
     */
    public static Path folder(String model) {
        Path directory = Path.of(model);
        if (!Files.isDirectory(directory)) {
            throw new LoraConfigurationException(
                    model
                            + ": "
                            + (Files.exists(directory) ? "is not a folder" : "no such folder")
                            + "; expected a model in Hugging Face layout");
        }
        // DJL would take a folder without it for a TorchScript model, and ask for that.
        Path config = directory.resolve("config.json");
        if (!Files.exists(config)) {
            throw new LoraConfigurationException(
                    config + ": no such file; expected a model in Hugging Face layout");
        }
        return directory;
    }

    /**
     * Returns what runs a loaded model.
     *
     * @param model the model
     * @return its block
     */
    public static CausalLanguageModel blockOf(ZooModel<?, ?> model) {
        return (CausalLanguageModel) model.getBlock();
    }
}
