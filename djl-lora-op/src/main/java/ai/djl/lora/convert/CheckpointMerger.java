/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Writes a Hugging Face checkpoint whose weights have an adapter merged into them, so that it
 * answers as the base model does with the adapter.
 *
 * <p>Sums are worked out in float32 and rounded once. Weights are read, changed and written a row
 * at a time; of the adapter everything is in memory. The files are those of the base: the same
 * shards, its configuration and its tokenizer. Where an adapter gives the input embedding and the
 * output layer different weights, the checkpoint no longer ties them; where it gives a layer a bias
 * and the architecture can have one, the configuration says so.
 */
public final class CheckpointMerger {

    private static final String CONFIG = "config.json";
    private static final String INDEX = "model.safetensors.index.json";
    private static final int MAX_CONFIG = 16 << 20;

    /** What beside the weights belongs to a checkpoint: configuration, tokenizer, licence. */
    private static final List<String> COPIED =
            List.of(
                    ".*\\.json",
                    ".*\\.jinja",
                    ".*\\.model",
                    ".*\\.tiktoken",
                    "(vocab|merges)\\.txt",
                    "(LICENSE|NOTICE|USE_POLICY).*");

    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().setPrettyPrinting().create();

    private final Path base;
    private final ModelLayout layout;
    private final Map<String, String> biasFields;

    /**
     * Constructs a new {@code CheckpointMerger} instance.
     *
     * @param base the base model's folder
     * @param layout what of it adapters may change
     * @param biasFields for each layer without a bias that could have one, the field of {@code
     *     config.json} that gives it one
     */
    public CheckpointMerger(Path base, ModelLayout layout, Map<String, String> biasFields) {
        this.base = base;
        this.layout = layout;
        this.biasFields = Map.copyOf(biasFields);
    }

    /**
     * Writes a merged checkpoint.
     *
     * @param adapter the adapter, loaded for this model
     * @param target the folder to write, which appears whole or not at all
     * @param type the type of the weights; empty for those that the base's have
     * @param replace whether a checkpoint that is there may be replaced
     * @return the names of the base's files that were not taken over
     * @throws LoraVariantException if the adapter is more than changed weights
     * @throws LoraConfigurationException if the base cannot be read, or something is in the
     *     target's place
     * @throws LoraCompatibilityException if a merged weight is more than the type can hold
     * @throws IOException if the target cannot be written
     */
    public List<String> merge(
            LoraAdapter adapter, Path target, Optional<ElementType> type, boolean replace)
            throws IOException {
        refuseBeyondWeights(adapter);
        try (SafetensorsFolder weights = SafetensorsFolder.open(base);
                Staging staging = Staging.folder(target, replace, CONFIG, base)) {
            MergePlan plan = new MergePlan(weights, layout, biasFields, adapter, type);
            writeWeights(weights, plan, staging.path());
            writeConfig(plan, type, staging.path());
            List<String> left = copyFiles(staging.path());
            staging.commit();
            return left;
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static void refuseBeyondWeights(LoraAdapter adapter) {
        AdapterChanges changes = adapter.changes();
        String what = null;
        if (changes.prompt().isPresent()) {
            what = "virtual tokens (prompt tuning or P-tuning)";
        } else if (changes.prefix().isPresent()) {
            what = "a prefix of keys and values (prefix tuning)";
        } else if (changes.invocationTokens().length > 0) {
            what = "invocation tokens (activated LoRA), before which it does not act";
        }
        if (what != null) {
            throw new LoraVariantException(
                    Message.oneLine(adapter.source().toString())
                            + ": the adapter has "
                            + what
                            + ", which cannot be merged into weights");
        }
    }

    private static void writeWeights(SafetensorsFolder weights, MergePlan plan, Path folder)
            throws IOException {
        for (Map.Entry<String, List<MergedTensor>> file : plan.files().entrySet()) {
            Map<String, MergedTensor> tensors = new TreeMap<>();
            file.getValue().forEach(tensor -> tensors.put(tensor.name(), tensor));
            List<TensorInfo> described = file.getValue().stream().map(MergedTensor::info).toList();
            Path path = folder.resolve(file.getKey());
            try (SafetensorsOutput output = new SafetensorsOutput(path, described)) {
                for (TensorInfo tensor : output.tensors()) {
                    output.begin(tensor);
                    write(weights, tensors.get(tensor.name()), output);
                }
                output.finish();
            }
        }
        if (plan.files().size() > 1) {
            Files.writeString(folder.resolve(INDEX), GSON.toJson(index(plan)) + '\n');
        }
    }

    private static void write(
            SafetensorsFolder weights, MergedTensor tensor, SafetensorsOutput output) {
        if (tensor.replaced() != null) {
            RowWriter writer = new RowWriter(tensor, tensor.replaced().type(), output);
            writer.accept(ByteBuffer.wrap(tensor.replaced().data()));
        } else if (tensor.edit() == RowEdit.NONE && tensor.base().type() == tensor.type()) {
            weights.stream(
                    tensor.base().name(),
                    chunk -> {
                        try {
                            output.write(chunk);
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    });
        } else {
            ElementType stored = tensor.base().type().elementType().orElseThrow();
            RowWriter writer = new RowWriter(tensor, stored, output);
            weights.stream(tensor.base().name(), writer::accept);
        }
    }

    private static JsonObject index(MergePlan plan) {
        long total = 0;
        Map<String, String> files = new TreeMap<>();
        for (Map.Entry<String, List<MergedTensor>> file : plan.files().entrySet()) {
            for (MergedTensor tensor : file.getValue()) {
                total += tensor.info().size();
                files.put(tensor.name(), file.getKey());
            }
        }
        JsonObject metadata = new JsonObject();
        metadata.addProperty("total_size", total);
        JsonObject map = new JsonObject();
        files.forEach(map::addProperty);
        JsonObject index = new JsonObject();
        index.add("metadata", metadata);
        index.add("weight_map", map);
        return index;
    }

    private void writeConfig(MergePlan plan, Optional<ElementType> type, Path folder)
            throws IOException {
        Path file = base.resolve(CONFIG);
        if (plan.flags().isEmpty() && type.isEmpty()) {
            Files.copy(file, folder.resolve(CONFIG));
            return;
        }
        JsonObject config = StrictJson.readObject(file, MAX_CONFIG);
        plan.flags().forEach(config::addProperty);
        type.ifPresent(chosen -> setType(config, chosen.label()));
        Files.writeString(folder.resolve(CONFIG), GSON.toJson(config) + '\n');
    }

    /* transformers called the field torch_dtype before version 4.56, and still reads both. */
    private static void setType(JsonObject config, String label) {
        if (config.has("dtype")) {
            config.addProperty("dtype", label);
        }
        if (config.has("torch_dtype") || !config.has("dtype")) {
            config.addProperty("torch_dtype", label);
        }
    }

    private List<String> copyFiles(Path folder) throws IOException {
        List<String> left = new ArrayList<>();
        List<Path> all;
        try (Stream<Path> files = Files.list(base)) {
            all = files.sorted().toList();
        }
        for (Path file : all) {
            String name = String.valueOf(file.getFileName());
            if (name.equals(CONFIG) || name.equals(INDEX) || name.endsWith(".safetensors")) {
                continue;
            }
            if (Files.isRegularFile(file) && COPIED.stream().anyMatch(name::matches)) {
                Files.copy(file, folder.resolve(name));
            } else {
                left.add(name);
            }
        }
        return left;
    }
}
