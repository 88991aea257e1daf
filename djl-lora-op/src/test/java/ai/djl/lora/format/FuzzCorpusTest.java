/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertTrue;

import ai.djl.lora.safetensors.SafetensorsFuzzer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Runs the inputs that fuzzing has kept, and small damage to each of them, without a fuzzer. */
public class FuzzCorpusTest {

    private static final Path CORPORA = Path.of("src/test/resources/fuzz");

    @DataProvider
    public Object[][] readers() {
        return new Object[][] {
            reader("safetensors", SafetensorsFuzzer::fuzzerTestOneInput),
            reader("config", ConfigFuzzer::fuzzerTestOneInput),
            reader("names", NamesFuzzer::fuzzerTestOneInput),
            reader("archive", ArchiveFuzzer::fuzzerTestOneInput),
            reader("gguf", GgufFuzzer::fuzzerTestOneInput),
            reader("pickle", PickleFuzzer::fuzzerTestOneInput),
            reader("packed", PackedFuzzer::fuzzerTestOneInput),
        };
    }

    private static Object[] reader(String name, Consumer<byte[]> target) {
        return new Object[] {name, target};
    }

    @Test(dataProvider = "readers")
    public void keptInputsAreReadOrRefused(String name, Consumer<byte[]> target)
            throws IOException {
        List<Path> inputs;
        try (Stream<Path> files = Files.list(CORPORA.resolve(name))) {
            inputs = files.sorted().toList();
        }
        assertTrue(inputs.size() > 3, "inputs of " + name + ": " + inputs.size());
        for (Path file : inputs) {
            byte[] input = Files.readAllBytes(file);
            try {
                target.accept(input);
                for (int i = 0; i < input.length; i += 1 + input.length / 64) {
                    byte kept = input[i];
                    input[i] ^= (byte) (1 << i % 8);
                    target.accept(input);
                    input[i] = kept;
                }
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError(file + ": " + e, e);
            }
        }
    }
}
