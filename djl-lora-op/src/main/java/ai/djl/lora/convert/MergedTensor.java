/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;

/**
 * A tensor of a merged checkpoint.
 *
 * @param name its name
 * @param shape its shape
 * @param type the type to write
 * @param base the base's tensor that it is made of, or null
 * @param replaced what it is made of instead, or null where {@code base} is there
 * @param edit what is done to its rows
 */
record MergedTensor(
        String name,
        long[] shape,
        SafetensorsType type,
        TensorInfo base,
        HostTensor replaced,
        RowEdit edit) {

    /** Returns a tensor of the base with changed rows. */
    static MergedTensor of(TensorInfo base, SafetensorsType type, RowEdit edit) {
        return new MergedTensor(base.name(), base.shape(), type, base, null, edit);
    }

    /** Returns a tensor that is not made of the base's. */
    static MergedTensor of(String name, HostTensor values, SafetensorsType type, RowEdit edit) {
        return new MergedTensor(name, values.shape(), type, null, values, edit);
    }

    /** Returns the tensor as a file describes it. */
    TensorInfo info() {
        long size = type.bytes();
        for (long dimension : shape) {
            size = Math.multiplyExact(size, dimension);
        }
        return new TensorInfo(name, type, shape, 0, size);
    }
}
