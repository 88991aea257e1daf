/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Random;
import org.testng.SkipException;

/** Models of the repository's golden files, on any backend. */
public final class TestModels {

    /** The architectures that have golden files. */
    public static final String[] NAMES = {
        "llama2", "llama3", "llama-linear-rope", "mistral", "qwen2", "qwen3"
    };

    /** The backends, of which only the last is everywhere. */
    public static final String[] BACKENDS = {"cpu", "pytorch"};

    private static final Path GOLDENS = Path.of("..", "src", "test", "resources", "goldens");

    private TestModels() {}

    /** Returns the folder of an architecture's golden files. */
    public static Path folder(String name) {
        return GOLDENS.resolve(name).toAbsolutePath().normalize();
    }

    /** Returns the folder of an architecture's model. */
    public static Path model(String name) {
        return folder(name).resolve("model");
    }

    /** Returns a backend, or skips the test where it cannot be used. */
    public static LoraBackend backend(String name) {
        LoraBackends.list().stream()
                .filter(status -> status.name().equals(name) && !status.available())
                .findAny()
                .ifPresent(
                        status -> {
                            throw new SkipException("Backend " + name + ": " + status.reason());
                        });
        return LoraBackends.choose(name);
    }

    /** A model with the manager that holds it. */
    public record Loaded(LlamaBlock block, NDManager manager) implements AutoCloseable {

        /** Computes the logits [tokens, vocabulary] of every new token of a step. */
        float[] logits(ForwardStep step) {
            try (NDManager results = manager.newSubManager();
                    NDArray logits = block.forward(results, step)) {
                return logits.toFloatArray();
            }
        }

        @Override
        public void close() {
            block.getLoraContext().close();
            manager.close();
        }
    }

    /** Loads a model from a folder. */
    public static Loaded load(Path folder, String backend, ElementType type) {
        LoraBackend chosen = backend(backend);
        NDManager manager = NDManager.newBaseManager(null, "PyTorch");
        boolean loaded = false;
        try {
            LoraContext context = new LoraContext(chosen, type, manager);
            LlamaBlock block = LlamaBlock.load(folder, LlamaConfig.read(folder), context);
            loaded = true;
            return new Loaded(block, manager);
        } finally {
            if (!loaded) {
                manager.close();
            }
        }
    }

    /** Loads a golden model in float32. */
    public static Loaded load(String name, String backend) {
        return load(model(name), backend, ElementType.FLOAT32);
    }

    /** Copies a model's folder so that a test can break the copy. */
    public static Path copy(Path source) throws IOException {
        Path target = Files.createTempDirectory("djl-lora-model");
        try (var files = Files.list(source)) {
            for (Path file : files.toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
        return target;
    }

    /** Deletes a folder. */
    public static void delete(Path folder) throws IOException {
        Files.walkFileTree(
                folder,
                new SimpleFileVisitor<>() {
                    @Override
                    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                            throws IOException {
                        Files.delete(file);
                        return FileVisitResult.CONTINUE;
                    }

                    @Override
                    public FileVisitResult postVisitDirectory(Path dir, IOException e)
                            throws IOException {
                        Files.delete(dir);
                        return FileVisitResult.CONTINUE;
                    }
                });
    }

    /** Returns random tokens of a model, the same for the same seed. */
    static int[] tokens(LlamaConfig config, int count, long seed) {
        return new Random(seed).ints(count, 0, config.vocabSize()).toArray();
    }

    /** Returns the largest absolute difference of two arrays. */
    static double maxDifference(float[] actual, float[] expected) {
        if (actual.length != expected.length) {
            throw new AssertionError(actual.length + " numbers; expected " + expected.length);
        }
        double max = 0;
        for (int i = 0; i < actual.length; ++i) {
            double difference = Math.abs((double) actual[i] - expected[i]);
            // NaN compares as false, and must not pass
            if (!(difference <= max)) {
                max = difference;
            }
        }
        return max;
    }
}
