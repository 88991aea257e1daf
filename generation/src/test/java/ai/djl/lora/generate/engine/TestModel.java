/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.Model;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BackendStatus;
import ai.djl.lora.op.LoraBackends;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.testng.SkipException;

/** One of the golden models in float32 on one backend, with adapters to choose from. */
final class TestModel implements AutoCloseable {

    static final Path GOLDENS = Path.of("../src/test/resources/goldens");

    private final Model model;
    private final CausalLanguageModel block;
    private final List<String> adapters = new ArrayList<>(List.of(""));

    /**
     * Loads a model and registers its golden adapter if it has one, and adapters of many ranks.
     *
     * @param name the golden's folder
     * @param backend the backend
     * @param work a folder to write adapters to
     */
    TestModel(String name, String backend, Path work) throws IOException {
        this(GOLDENS.resolve(name).resolve("model"), backend);
        Path adapter = GOLDENS.resolve(name).resolve("adapter");
        if (Files.exists(adapter)) {
            block.getAdapters().register("golden", adapter);
            adapters.add("golden");
        }
        for (int rank : new int[] {1, 3, 8, 17}) {
            register("rank-" + rank, work.resolve(name + "-" + backend + "-" + rank), rank, 0.15f);
        }
    }

    /**
     * Loads a model alone.
     *
     * @param folder the model's folder
     * @param backend the backend
     */
    TestModel(Path folder, String backend) throws IOException {
        requireAvailable(backend);
        model = Model.newInstance(backend, "PyTorch");
        block =
                (CausalLanguageModel)
                        new LlamaBlockFactory()
                                .newBlock(
                                        model,
                                        folder,
                                        Map.of("backend", backend, "dtype", "float32"));
        model.setBlock(block);
    }

    private static void requireAvailable(String backend) {
        for (BackendStatus status : LoraBackends.list()) {
            if (status.name().equals(backend) && !status.available()) {
                throw new SkipException("backend " + backend + ": " + status.reason());
            }
        }
    }

    void register(String adapter, Path directory, int rank, float deviation) throws IOException {
        AdapterWriter.write(
                directory, block.getLoraContext().getModules(), rank, deviation, rank + 100);
        block.getAdapters().register(adapter, directory);
        adapters.add(adapter);
    }

    CausalLanguageModel block() {
        return block;
    }

    /** Returns the adapters' names, with the empty one for the base model first. */
    List<String> adapters() {
        return adapters;
    }

    int vocabSize() {
        return block.getConfig().vocabSize();
    }

    int positions() {
        return block.getConfig().maxPositionEmbeddings();
    }

    /** Computes the logits behind all the given tokens from nothing, with no cache and no batch. */
    float[] nextLogits(int[] tokens, String adapter) {
        AdapterLease lease = adapter.isEmpty() ? null : block.getAdapters().acquire(adapter);
        try (lease;
                NDManager manager = block.getLoraContext().getManager().newSubManager();
                KvCache cache = block.newKvCache(manager)) {
            ForwardStep step =
                    ForwardStep.builder()
                            .addSequence(
                                    cache, lease == null ? AdapterMix.BASE : lease.getMix(), tokens)
                            .optAllPositions(true)
                            .build();
            try (NDArray logits = block.forward(manager, step)) {
                float[] all = logits.toFloatArray();
                return Arrays.copyOfRange(all, all.length - vocabSize(), all.length);
            }
        }
    }

    /** Returns the number of arrays and managers that belong to the model's manager. */
    int managed() {
        return block.getLoraContext().getManager().getManagedArrays().size();
    }

    @Override
    public void close() {
        model.close();
    }
}
