/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes an adapter as PEFT does: {@code adapter_config.json}, {@code adapter_model.safetensors}.
 */
final class PeftFolder {

    /** The configuration's file, by which such a folder is known. */
    static final String CONFIG = "adapter_config.json";

    private static final String WEIGHTS = "adapter_model.safetensors";
    private static final String PREFIX = "base_model.model.";

    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().setPrettyPrinting().create();

    private PeftFolder() {}

    /**
     * Writes an adapter.
     *
     * @param files the adapter
     * @param folder an empty folder
     */
    static void write(AdapterFiles files, Path folder) throws IOException {
        Files.writeString(folder.resolve(CONFIG), GSON.toJson(files.config()) + '\n');
        Map<String, String> normalised = new LinkedHashMap<>();
        files.tensors().keySet().forEach(name -> normalised.put(peftName(name), name));
        List<TensorInfo> tensors =
                normalised.entrySet().stream()
                        .map(name -> renamed(files.tensors().get(name.getValue()), name.getKey()))
                        .toList();
        try (SafetensorsOutput output = new SafetensorsOutput(folder.resolve(WEIGHTS), tensors)) {
            for (TensorInfo tensor : output.tensors()) {
                output.begin(tensor);
                files.stream(
                        normalised.get(tensor.name()),
                        chunk -> {
                            try {
                                output.write(chunk);
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                        });
            }
            output.finish();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** Returns what PEFT calls a tensor: what belongs to no module has no prefix, or its own. */
    private static String peftName(String name) {
        boolean ofModule = name.indexOf('.') >= 0 && !name.startsWith("base_model.");
        return ofModule ? PREFIX + name : name;
    }

    private static TensorInfo renamed(TensorInfo tensor, String name) {
        return new TensorInfo(name, tensor.type(), tensor.shape(), tensor.offset(), tensor.size());
    }
}
