/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.GoldenModels;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The adapters of this repository, all of them saved by PEFT, each beside its own model. */
public final class RealAdapters {

    private static final List<Path> ROOTS =
            List.of(Path.of("../src/test/resources/goldens"), Path.of("../examples/demo"));

    private RealAdapters() {}

    /** An adapter's folder, and its model's. */
    public record Found(Path directory, Path model) {

        /** Returns the last part of the folder that tells it from others. */
        public String name() {
            Path name = directory.getFileName();
            return String.valueOf(
                    name.startsWith("adapter") ? model.getParent().getFileName() : name);
        }

        /** Packs the adapter for its model's layers. */
        public PackedAdapter pack(ElementType type) {
            List<LoraModule> modules = modules(model);
            return new AdapterPacker(
                            AdapterLoader.load(directory, new ModelLayout(modules)),
                            modules,
                            type,
                            new OutputVectors(null))
                    .pack();
        }
    }

    /** Finds the adapters that are low-rank products alone; variants are tested with the models. */
    public static List<Found> list() throws IOException {
        List<Found> found = new ArrayList<>();
        for (Path root : ROOTS) {
            if (!Files.isDirectory(root)) {
                continue;
            }
            try (Stream<Path> files = Files.walk(root)) {
                files.filter(file -> file.endsWith(PeftConfig.FILE_NAME))
                        .filter(file -> !file.startsWith(GoldenModels.VARIANTS))
                        .sorted()
                        .forEach(
                                file ->
                                        found.add(
                                                new Found(file.getParent(), modelOf(file, root))));
            }
        }
        return found;
    }

    /** Returns the nearest directory "model" or "base" on the way up to the root. */
    private static Path modelOf(Path file, Path root) {
        for (Path at = file.getParent(); at.startsWith(root); at = at.getParent()) {
            for (String name : List.of("model", "base")) {
                if (Files.isDirectory(at.resolve(name))) {
                    return at.resolve(name);
                }
            }
        }
        throw new IllegalStateException("No model beside " + file);
    }

    /** Returns a model's linear layers: the matrices of its decoder layers. */
    public static List<LoraModule> modules(Path model) {
        List<LoraModule> modules = new ArrayList<>();
        try (SafetensorsFolder folder = SafetensorsFolder.open(model)) {
            for (String name : folder.names()) {
                TensorInfo tensor = folder.tensor(name);
                if (tensor.name().contains(".layers.") && tensor.shape().length == 2) {
                    modules.add(
                            new LoraModule(
                                    modules.size(),
                                    tensor.name().replaceAll("\\.weight$", ""),
                                    (int) tensor.shape()[1],
                                    (int) tensor.shape()[0]));
                }
            }
        }
        return modules;
    }
}
