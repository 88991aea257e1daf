/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.file.Path;
import java.util.Optional;

/** Fuzzes GGUF files whole: the metadata, the names, and every tensor's bytes. */
public final class GgufFuzzer {

    private static final FormatHints HINTS = new FormatHints(4, 2);

    private GgufFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        FuzzExpectation.check(() -> read(input));
    }

    private static void read(byte[] input) {
        try (GgufSource source =
                GgufSource.open(
                        Path.of("fuzz"),
                        FuzzLimits.file(input),
                        FuzzLimits.LIMITS,
                        Optional.of(HINTS))) {
            for (TensorInfo tensor : source.tensors().values()) {
                FuzzExpectation.promise(
                        tensor.shape()[0] * tensor.shape()[1] * tensor.type().bytes()
                                == tensor.size(),
                        "the size is the shape's");
                FuzzExpectation.promise(
                        source.read(tensor).length == tensor.size(), "as many bytes as promised");
            }
            NormalisedTensors tensors = new NormalisedTensors(source, source::peftName);
            FuzzExpectation.promise(
                    tensors.tensors().size() == source.tensors().size(), "no tensor is lost");
            source.toConfig(tensors);
            source.notes();
        }
    }
}
