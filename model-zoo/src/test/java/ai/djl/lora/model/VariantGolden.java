/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.safetensors.SafetensorsFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * What PEFT answers with an adapter of one variant.
 *
 * @param name the golden file's name
 * @param adapter the name of the adapter's folder, empty for the base model
 * @param golden the prompts and the logits
 */
record VariantGolden(String name, String adapter, Golden golden) {

    /** The architectures that have golden files for each variant. */
    static final String[] ARCHITECTURES = {"llama", "qwen2"};

    private static final String SUFFIX = ".safetensors";

    /** Returns the folder of an architecture's golden files. */
    static Path folder(String architecture) {
        return TestModels.folder("variants").resolve(architecture);
    }

    /** Returns the folder of an architecture's adapter. */
    static Path adapter(String architecture, String name) {
        return folder(architecture).resolve("adapters").resolve(name);
    }

    /** Returns the names of an architecture's adapters. */
    static List<String> adapters(String architecture) {
        return names(folder(architecture).resolve("adapters"));
    }

    /** Returns all golden files of an architecture, that of the base model among them. */
    static List<VariantGolden> list(String architecture) {
        return names(folder(architecture)).stream()
                .filter(name -> name.endsWith(SUFFIX))
                .map(name -> read(folder(architecture).resolve(name)))
                .toList();
    }

    private static List<String> names(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static VariantGolden read(Path path) {
        String file = path.getFileName().toString();
        try (SafetensorsFile tensors = SafetensorsFile.open(path)) {
            return new VariantGolden(
                    file.substring(0, file.length() - SUFFIX.length()),
                    tensors.metadata().getOrDefault("adapter", ""),
                    Golden.read(path));
        }
    }

    /** Returns the logits of a row [tokens, vocabulary]. */
    float[] logits(int row) {
        int size = golden.length() * golden.vocabSize();
        return Arrays.copyOfRange(golden.logits(), row * size, (row + 1) * size);
    }

    /** Returns whether PEFT answers a row as the base model: it lacks the invocation tokens. */
    boolean isWithoutInvocation(int row) {
        return name.equals("alora-end") && row == 1;
    }
}
