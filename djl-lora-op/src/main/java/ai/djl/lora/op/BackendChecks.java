/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.tensor.ElementType;
import java.util.Arrays;
import java.util.stream.Collectors;

/** What every backend demands before it starts to work. */
final class BackendChecks {

    private BackendChecks() {}

    static void supports(LoraBackend backend, ElementType type) {
        if (!backend.supports(type)) {
            String allowed =
                    Arrays.stream(ElementType.values())
                            .filter(backend::supports)
                            .map(ElementType::label)
                            .collect(Collectors.joining(", "));
            throw new LoraBackendException(
                    "Backend "
                            + backend.getName()
                            + " does not compute in "
                            + type
                            + "; it computes in "
                            + allowed);
        }
    }

    static void adapterMemory(long bytes) {
        if (bytes != 0 && bytes < BlockPool.ALIGNMENT) {
            throw new IllegalArgumentException(
                    "The adapters' memory is "
                            + bytes
                            + " bytes, but it must be 0 or at least "
                            + BlockPool.ALIGNMENT);
        }
    }
}
