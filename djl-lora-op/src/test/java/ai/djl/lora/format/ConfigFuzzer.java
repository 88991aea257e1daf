/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.json.StrictJson;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Fuzzes an adapter's configuration, and what is asked of one that was read. */
public final class ConfigFuzzer {

    private static final String MODULE = "model.layers.0.self_attn.q_proj";

    /** PeftConfig reads files alone: one in memory, where the system has such a place. */
    private static final Path FILE = newFile();

    private ConfigFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        try {
            Files.write(FILE, input);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        FuzzExpectation.check(() -> StrictJson.readObject(FILE, 1 << 20));
        FuzzExpectation.check(
                () -> {
                    PeftConfig config = PeftConfig.read(FILE.getParent());
                    config.targets(MODULE);
                    FuzzExpectation.promise(config.rankOf(MODULE) >= 1, "ranks are positive");
                    float scale = config.scaleOf(MODULE);
                    FuzzExpectation.promise(
                            scale != 0 && Float.isFinite(scale), "scales are finite and not 0");
                    config.warnings();
                });
    }

    private static Path newFile() {
        Path memory = Path.of("/dev/shm");
        try {
            Path folder =
                    Files.isWritable(memory)
                            ? Files.createTempDirectory(memory, "djl-lora-fuzz")
                            : Files.createTempDirectory("djl-lora-fuzz");
            Path file = folder.resolve(PeftConfig.FILE_NAME);
            folder.toFile().deleteOnExit();
            file.toFile().deleteOnExit();
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
