/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;

/** Gives the data of an adapter's tensors, each once. */
@FunctionalInterface
public interface TensorReader {

    /**
     * Reads a tensor.
     *
     * @param name its normalised name; one that was claimed when the tensors were placed
     * @return the tensor, in memory of its own
     * @throws IllegalStateException if it has been read already
     * @throws ai.djl.lora.LoraConfigurationException if the file cannot be read
     */
    HostTensor read(String name);
}
