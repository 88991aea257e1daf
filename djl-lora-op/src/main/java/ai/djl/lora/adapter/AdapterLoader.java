/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.lora.tensor.NonFinite;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Loads adapters that PEFT has saved, and refuses those that do not fit the model whole.
 *
 * <p>PEFT itself is lenient: it loads what fits and leaves the rest out, so that an adapter of
 * another model answers as the base model would. Here each tensor must have its module and each
 * module that the configuration names its tensors.
 */
public final class AdapterLoader {

    private static final String WEIGHTS = "adapter_model.safetensors";
    private static final String PICKLED_WEIGHTS = "adapter_model.bin";

    /** For how many tensors without a module the nearest modules are looked up. */
    private static final int EXPLAINED = 3;

    private final Path directory;
    private final PeftConfig config;
    private final Map<String, LoraModule> modules = new LinkedHashMap<>();
    private final Map<String, Pair> pairs = new LinkedHashMap<>();
    private final List<String> errors = new ArrayList<>();
    private String adapterName;
    private int unplaced;

    private AdapterLoader(Path directory, PeftConfig config, List<LoraModule> modules) {
        this.directory = directory;
        this.config = config;
        for (LoraModule module : modules) {
            if (this.modules.put(module.name(), module) != null) {
                throw new IllegalArgumentException(
                        "The module " + module.name() + " occurs twice in the model");
            }
        }
    }

    /**
     * Loads an adapter and checks it against a model.
     *
     * @param directory the directory with {@code adapter_config.json} and {@code
     *     adapter_model.safetensors}
     * @param modules the model's modules
     * @return the adapter, whose bytes were read once into memory of its own
     * @throws LoraConfigurationException if a file is missing or not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     * @throws LoraCompatibilityException if the adapter does not fit the model, with the report's
     *     summary as its message
     */
    public static LoraAdapter load(Path directory, List<LoraModule> modules) {
        if (!Files.isDirectory(directory)) {
            throw new LoraConfigurationException(
                    Message.oneLine(directory.toString()) + ": there is no such directory");
        }
        PeftConfig config = PeftConfig.read(directory);
        return new AdapterLoader(directory, config, modules).load();
    }

    private LoraAdapter load() {
        try (SafetensorsFile file = SafetensorsFile.open(weightsFile())) {
            file.tensors().values().forEach(this::place);
            checkPairs();
            // nothing is read before every shape is known to fit: a file cannot ask for memory
            refuseUnlessAccepted(report(List.of()));
            Map<String, LoraWeights> weights = read(file);
            LoadReport report = report(warnings(weights));
            refuseUnlessAccepted(report);
            AdapterChanges.Builder changes = AdapterChanges.builder();
            String variant = config.rslora() ? "rsLoRA" : "LoRA";
            weights.forEach(
                    (module, part) ->
                            changes.addLinear(module, LinearChange.ofProduct(variant, part)));
            return new LoraAdapter(directory, config, changes.build(), report);
        }
    }

    private Path weightsFile() {
        Path file = directory.resolve(WEIGHTS);
        if (Files.exists(file)) {
            return file;
        }
        String where = Message.oneLine(directory.toString());
        if (Files.exists(directory.resolve(PICKLED_WEIGHTS))) {
            throw new LoraConfigurationException(
                    where
                            + ": found "
                            + PICKLED_WEIGHTS
                            + ", a pickle, which is a program and is not run; expected "
                            + WEIGHTS
                            + ", which PEFT writes with save_pretrained(...,"
                            + " safe_serialization=True)");
        }
        throw new LoraConfigurationException(where + ": " + WEIGHTS + " is missing");
    }

    /** Finds the module that a tensor belongs to, or notes why there is none. */
    private void place(TensorInfo tensor) {
        String shown = "tensor " + Message.quote(tensor.name());
        LoraTensorName name = LoraTensorName.parse(tensor.name()).orElse(null);
        if (name == null) {
            errors.add(shown + " is no LoRA matrix (<module>.lora_A.weight or lora_B.weight)");
            return;
        }
        if (adapterName == null) {
            adapterName = name.adapter();
        }
        if (!adapterName.equals(name.adapter())) {
            errors.add(
                    shown
                            + " belongs to the adapter "
                            + Message.quote(name.adapter())
                            + ", others of the file to "
                            + Message.quote(adapterName));
            return;
        }
        LoraModule module = modules.get(name.module());
        if (module == null) {
            errors.add(shown + " belongs to no module of the model" + nearby(name.module()));
            return;
        }
        if (!config.targets(name.module())) {
            errors.add(shown + " belongs to a module that target_modules does not name");
            return;
        }
        // a module with any tensor is not missing, whatever else is wrong with the tensor
        Pair pair = pairs.computeIfAbsent(name.module(), key -> new Pair());
        if (tensor.type().elementType().isEmpty()) {
            errors.add(
                    shown + " has the type " + tensor.type() + ", allowed are F32, F16 and BF16");
            return;
        }
        boolean partA = name.part() == LoraTensorName.Part.A;
        int rank = config.rankOf(name.module());
        long[] expected =
                partA
                        ? new long[] {rank, module.inFeatures()}
                        : new long[] {module.outFeatures(), rank};
        if (!Arrays.equals(expected, tensor.shape())) {
            errors.add(
                    shown
                            + " has the shape "
                            + shape(tensor)
                            + ", expected "
                            + Arrays.toString(expected)
                            + " by the configuration's rank "
                            + rank
                            + " and the module's shape ["
                            + module.outFeatures()
                            + ", "
                            + module.inFeatures()
                            + "]");
            return;
        }
        if ((partA ? pair.a : pair.b) != null) {
            errors.add(
                    shown
                            + " is the same matrix as "
                            + Message.quote((partA ? pair.a : pair.b).name()));
        } else if (partA) {
            pair.a = tensor;
        } else {
            pair.b = tensor;
        }
    }

    private String nearby(String name) {
        if (++unplaced > EXPLAINED) {
            return "";
        }
        List<String> nearest = NearestNames.of(name, modules.keySet());
        return nearest.isEmpty()
                ? ", which has none"
                : " (nearest are " + String.join(", ", nearest) + ")";
    }

    private void checkPairs() {
        pairs.forEach(
                (module, pair) -> {
                    if ((pair.a == null) != (pair.b == null)) {
                        boolean partA = pair.a != null;
                        errors.add(
                                "module "
                                        + Message.quote(module)
                                        + (partA
                                                ? " has lora_A and no lora_B that fits"
                                                : " has lora_B and no lora_A that fits"));
                    }
                });
    }

    private Map<String, LoraWeights> read(SafetensorsFile file) {
        Map<String, LoraWeights> weights = new LinkedHashMap<>();
        for (String module : modules.keySet()) {
            Pair pair = pairs.get(module);
            if (pair != null) {
                weights.put(
                        module,
                        new LoraWeights(
                                config.rankOf(module),
                                config.scaleOf(module),
                                readFinite(file, pair.a),
                                readFinite(file, pair.b)));
            }
        }
        return weights;
    }

    private HostTensor readFinite(SafetensorsFile file, TensorInfo info) {
        HostTensor tensor =
                new HostTensor(
                        info.type().elementType().orElseThrow(), info.shape(), file.read(info));
        int index = NonFinite.indexOf(ByteBuffer.wrap(tensor.data()), tensor.type());
        if (index >= 0) {
            long columns = info.shape()[1];
            errors.add(
                    "tensor "
                            + Message.quote(info.name())
                            + " holds "
                            + tensor.toFloats()[index]
                            + " at ["
                            + index / columns
                            + ", "
                            + index % columns
                            + "], every weight must be finite");
        }
        return tensor;
    }

    private LoadReport report(List<String> found) {
        List<String> applied = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        for (String module : modules.keySet()) {
            Pair pair = pairs.get(module);
            if (pair != null && pair.a != null && pair.b != null) {
                applied.add(module);
            } else if (pair == null
                    && config.targetModules().isSpecified()
                    && config.targets(module)) {
                missing.add(module);
            }
        }
        List<String> ignored = config.targetModules().entriesWithout(modules.keySet());
        List<String> warnings = new ArrayList<>(config.warnings());
        warnings.addAll(found);
        return new LoadReport(directory, applied, ignored, missing, errors, warnings);
    }

    private static List<String> warnings(Map<String, LoraWeights> weights) {
        boolean untrained =
                weights.values().stream().allMatch(part -> isZero(part.a()) || isZero(part.b()));
        return untrained
                ? List.of("A or B of every module is zero: the adapter changes nothing")
                : List.of();
    }

    private static boolean isZero(HostTensor tensor) {
        for (float element : tensor.toFloats()) {
            if (element != 0) {
                return false;
            }
        }
        return true;
    }

    private static void refuseUnlessAccepted(LoadReport report) {
        if (!report.isAccepted()) {
            throw new LoraCompatibilityException(report.toString());
        }
    }

    private static String shape(TensorInfo tensor) {
        long[] shape = tensor.shape();
        return shape.length <= 8 ? Arrays.toString(shape) : "of " + shape.length + " dimensions";
    }

    /** The tensors of one module, as far as they were found. */
    private static final class Pair {
        private TensorInfo a;
        private TensorInfo b;
    }
}
