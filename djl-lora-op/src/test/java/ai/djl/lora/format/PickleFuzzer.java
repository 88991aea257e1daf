/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.file.Path;

/**
 * Fuzzes what torch.save writes. An input is a whole file, in either format; or, behind a byte 1, a
 * pickle alone, whose tensors are then gathered from storages of zeros.
 */
public final class PickleFuzzer {

    private static final long MAX_REGION = 1 << 20;

    private PickleFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        if (input.length > 0 && input[0] == 1) {
            FuzzExpectation.check(() -> unpickle(input));
        } else {
            FuzzExpectation.check(() -> read(input));
        }
    }

    private static void read(byte[] input) {
        try (TorchSource source =
                TorchSource.open(Path.of("fuzz"), FuzzLimits.file(input), FuzzLimits.LIMITS)) {
            for (TensorInfo tensor : source.tensors().values()) {
                FuzzExpectation.promise(
                        source.read(tensor).length == tensor.size(), "as many bytes as promised");
            }
        }
    }

    private static void unpickle(byte[] input) {
        try (DataChannel file = FuzzLimits.file(input)) {
            TorchTensors torch = new TorchTensors(file);
            ByteReader in = new ByteReader(file, 1, input.length);
            PickleValue state = new Unpickler(file, in, torch::storage).load();
            TorchTensors.stateDict(file, state).values().forEach(PickleFuzzer::gather);
        }
    }

    private static void gather(TorchTensor tensor) {
        long width = tensor.storage().type().bytes();
        FuzzExpectation.promise(
                tensor.count() <= tensor.storage().count(), "no element is there twice");
        FuzzExpectation.promise(
                tensor.offset() + tensor.span() <= tensor.storage().count(),
                "elements lie in the storage");
        if (tensor.span() * width <= MAX_REGION) {
            tensor.isContiguous();
            tensor.gather(
                    new byte[(int) (tensor.span() * width)],
                    new byte[(int) (tensor.count() * width)]);
        }
    }
}
