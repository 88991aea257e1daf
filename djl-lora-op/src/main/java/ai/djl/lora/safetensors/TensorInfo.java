/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import java.util.Arrays;

/**
 * What a safetensors file says of one of its tensors; the file was checked to hold it.
 *
 * @param name the tensor's name
 * @param type the type of its elements
 * @param shape its dimensions, empty for a scalar
 * @param offset where its first byte lies in the file
 * @param size its size in bytes, which is the product of the shape times the element's size
 */
public record TensorInfo(String name, SafetensorsType type, long[] shape, long offset, long size) {

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name + ' ' + type + ' ' + Arrays.toString(shape);
    }
}
