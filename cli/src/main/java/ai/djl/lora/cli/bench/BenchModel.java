/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.Model;
import ai.djl.lora.cli.ModelOptions;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A model with random adapters, both made where they are not there yet. */
final class BenchModel implements AutoCloseable {

    private final SyntheticModel shape;
    private final ElementType type;
    private final boolean ownsFolder;
    private final Path folder;
    private final Model model;
    private final CausalLanguageModel block;

    /**
     * Loads a model, and registers adapters.
     *
     * @param name {@code synthetic:} and the name of a shape, or a folder in Hugging Face layout
     * @param load tells how many adapters of which rank
     * @param type the type to compute in
     * @param kept where what is made stays; null for a folder that is deleted
     * @throws IOException if a file cannot be read or written
     */
    BenchModel(String name, BenchLoad load, ElementType type, Path kept) throws IOException {
        this.type = type;
        boolean synthetic = name.startsWith(SyntheticModel.PREFIX);
        SyntheticModel named =
                synthetic
                        ? SyntheticModel.named(name.substring(SyntheticModel.PREFIX.length()))
                        : null;
        Path given = synthetic ? null : ModelOptions.folder(name);
        ownsFolder = kept == null;
        folder = ownsFolder ? Files.createTempDirectory("djl-lora-bench") : kept;
        model = Model.newInstance("bench", "PyTorch");
        boolean loaded = false;
        try {
            Path weights = synthetic ? folder.resolve(named.name()) : given;
            if (synthetic && !Files.exists(weights.resolve("config.json"))) {
                named.writeModel(weights);
            }
            block =
                    (CausalLanguageModel)
                            new LlamaBlockFactory()
                                    .newBlock(model, weights, Map.of("dtype", type.label()));
            model.setBlock(block);
            shape = synthetic ? named : SyntheticModel.of(name, block.getConfig());
            String adapters = (synthetic ? named.name() : "adapters") + "-r" + load.rank();
            for (int i = 0; i < load.adapters(); ++i) {
                Path adapter = folder.resolve(adapters).resolve(adapterName(i));
                if (!Files.exists(adapter.resolve("adapter_config.json"))) {
                    shape.writeAdapter(adapter, load.rank(), i + 1L);
                }
                block.getAdapters().register(adapterName(i), adapter);
            }
            loaded = true;
        } finally {
            if (!loaded) {
                close();
            }
        }
    }

    /** Returns the name under which an adapter is registered. */
    static String adapterName(int index) {
        return "adapter" + index;
    }

    SyntheticModel shape() {
        return shape;
    }

    ElementType type() {
        return type;
    }

    CausalLanguageModel block() {
        return block;
    }

    /** Frees the model, and deletes what was made where it is not to be kept. */
    @Override
    public void close() {
        model.close();
        if (ownsFolder) {
            try (Stream<Path> files = Files.walk(folder)) {
                List<Path> deepestFirst = files.sorted(Comparator.reverseOrder()).toList();
                for (Path file : deepestFirst) {
                    Files.delete(file);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
