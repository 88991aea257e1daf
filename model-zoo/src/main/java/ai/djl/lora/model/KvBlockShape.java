/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.tensor.ElementType;

/**
 * The order of the elements of one of a {@link KvPool}'s blocks: for each layer its keys [heads,
 * dim, positions] and then its values [heads, positions, dim].
 *
 * @param layers the number of layers
 * @param heads the number of heads of keys and values
 * @param dim the size of a head
 * @param positions the number of positions
 * @param type the type of the elements, in memory little endian
 */
public record KvBlockShape(int layers, int heads, int dim, int positions, ElementType type) {

    /**
     * Returns the number of a layer's keys, which is that of its values.
     *
     * @return the number of elements
     */
    public int layerKeys() {
        return heads * dim * positions;
    }

    /**
     * Returns the number of elements of all layers' keys and values.
     *
     * @return the number of elements
     */
    public int elements() {
        return Math.toIntExact(2L * layers * layerKeys());
    }

    /**
     * Returns the size of a block.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return (long) elements() * type.bytes();
    }
}
