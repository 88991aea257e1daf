/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.testng.Assert;

/**
 * Adapters of one layer of 64 by 64 and ranks 1 to 16, whose weights say whose they are: small
 * integers made of a seed.
 */
final class SmallAdapters {

    static final String MODULE = "layer.proj";
    static final int SIZE = 64;

    private static final int RANKS = 16;

    private final List<Path> folders = new ArrayList<>();
    private final Map<String, Integer> seedOfRevision = new ConcurrentHashMap<>();

    /** Writes adapters of the seeds from 0 on, each into a folder. */
    SmallAdapters(Path root, int count) throws IOException {
        for (int seed = 0; seed < count; ++seed) {
            folders.add(write(root.resolve("adapter" + seed), seed));
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(manager, LoraBackends.choose("pytorch"))) {
            for (int seed = 0; seed < count; ++seed) {
                String revision =
                        AdapterLoader.load(folders.get(seed), context.getLayout()).revision();
                Assert.assertNull(seedOfRevision.put(revision, seed));
            }
        }
    }

    /** Makes the context of a model of that layer alone. */
    static LoraContext context(NDManager manager) {
        return context(manager, LoraBackends.choose(null));
    }

    /** Makes the context of a model of that layer alone. */
    static LoraContext context(NDManager manager, LoraBackend backend) {
        LoraContext context = new LoraContext(backend, ElementType.FLOAT32, manager);
        context.addModule(MODULE, manager.zeros(new Shape(SIZE, SIZE)), null);
        return context;
    }

    /** Writes the adapter of a seed into a new folder. */
    static Path write(Path folder, int seed) throws IOException {
        Files.createDirectory(folder);
        int rank = rank(seed);
        float[] a = new float[rank * SIZE];
        float[] b = new float[SIZE * rank];
        for (int r = 0; r < rank; ++r) {
            for (int i = 0; i < SIZE; ++i) {
                a[r * SIZE + i] = value(seed, r, i);
                b[i * rank + r] = value(seed, r, SIZE + i);
            }
        }
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        String prefix = "base_model.model." + MODULE;
        tensors.put(prefix + ".lora_A.weight", HostTensor.of(a, rank, SIZE));
        tensors.put(prefix + ".lora_B.weight", HostTensor.of(b, SIZE, rank));
        SafetensorsWriter.write(folder.resolve("adapter_model.safetensors"), tensors);
        Files.writeString(
                folder.resolve(PeftConfig.FILE_NAME),
                "{\"peft_type\": \"LORA\", \"r\": "
                        + rank
                        + ", \"lora_alpha\": "
                        + rank
                        + ", \"target_modules\": [\"proj\"]}");
        return folder;
    }

    Path folder(int seed) {
        return folders.get(seed);
    }

    int seedOf(String revision) {
        return seedOfRevision.get(revision);
    }

    /** Returns what an adapter takes on the device. */
    static long bytes(int seed) {
        return 2L * Float.BYTES * SIZE * rank(seed);
    }

    static int rank(int seed) {
        return 1 + seed % RANKS;
    }

    static float value(int seed, int component, int place) {
        int mixed = (seed * 31 + component) * 131 + place;
        mixed ^= mixed >>> 7;
        return (mixed * 0x9E3779B1 >>> 24) - 128;
    }

    /**
     * Checks that the operator computes with the weights of the leased revision: what it makes of
     * the slot tells whose lie there.
     */
    void check(AdapterLease lease, LoraContext context, NDManager manager) {
        int seed = seedOf(lease.getRevision());
        try (NDManager scratch = manager.newSubManager()) {
            float[] one = new float[SIZE];
            one[seed % SIZE] = 1;
            NDArray x = scratch.create(one, new Shape(1, SIZE));
            NDArray base = scratch.zeros(new Shape(1, SIZE));
            BatchPlan plan = BatchPlan.uniform(lease.getSlot(), 1);
            float[][] y = new float[1][];
            context.keepingBackend(
                    () -> y[0] = context.getTable().apply(0, x, base, null, plan).toFloatArray());
            for (int o = 0; o < SIZE; ++o) {
                // integers below 2^24: float32 sums them exactly
                float expected = 0;
                for (int r = 0; r < rank(seed); ++r) {
                    expected += value(seed, r, seed % SIZE) * value(seed, r, SIZE + o);
                }
                Assert.assertEquals(y[0][o], expected, 0f, "output of " + lease.getName());
            }
        }
    }
}
