/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Fuzzes the names of tensors, one in each line of an input, and the configuration that alphas
 * make. A name that ends in a blank is a scalar's, others are matrices'.
 */
public final class NamesFuzzer {

    private NamesFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        FuzzExpectation.check(() -> normalise(new String(input, StandardCharsets.UTF_8)));
    }

    private static void normalise(String text) {
        Map<String, TensorInfo> tensors = new LinkedHashMap<>();
        for (String line : text.split("\n", -1)) {
            boolean scalar = line.endsWith(" ");
            String name = line.stripTrailing();
            long[] shape = scalar ? new long[0] : new long[] {name.length() % 5, 3};
            long size = scalar ? 4 : name.length() % 5 * 12L;
            tensors.put(name, new TensorInfo(name, SafetensorsType.F32, shape, 0, size));
        }
        try (TensorSource source = new Alike(tensors)) {
            NormalisedTensors found = new NormalisedTensors(source, UnaryOperator.identity());
            FuzzExpectation.promise(
                    found.tensors().size() + found.alphas().size() == tensors.size(),
                    "no tensor is lost");
            FuzzExpectation.promise(
                    found.tensors().keySet().equals(found.originals().keySet()),
                    "each tensor has its original");
            new AlphaTensors(source, found).toConfig();
        }
    }

    /** Tensors of 64 in each byte, so that alphas are numbers. */
    private record Alike(Map<String, TensorInfo> tensors) implements TensorSource {

        @Override
        public Path path() {
            return Path.of("fuzz");
        }

        @Override
        public byte[] read(TensorInfo tensor) {
            byte[] data = new byte[(int) tensor.size()];
            Arrays.fill(data, (byte) 64);
            return data;
        }

        @Override
        public void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks) {
            chunks.accept(ByteBuffer.wrap(read(tensor)));
        }

        @Override
        public void close() {
            // nothing is open
        }
    }
}
