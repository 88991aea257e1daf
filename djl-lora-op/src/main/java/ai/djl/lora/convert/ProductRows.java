/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.LoraWeights;

/** The rows of a low-rank product, {@code scale * B A}, worked out one at a time in float32. */
final class ProductRows {

    private final int rank;
    private final int columns;
    private final float scale;
    private final float[] a;
    private final float[] b;

    /**
     * Constructs a new {@code ProductRows} instance.
     *
     * @param weights A [rank, columns] and B [rows, rank]
     */
    ProductRows(LoraWeights weights) {
        rank = weights.rank();
        columns = Math.toIntExact(weights.a().shape()[1]);
        scale = weights.scale();
        a = weights.a().toFloats();
        b = weights.b().toFloats();
    }

    /**
     * Adds a row.
     *
     * @param target what to add to [columns]
     * @param row the row's number
     * @param factor what to multiply it with
     */
    void addTo(float[] target, int row, float factor) {
        for (int k = 0; k < rank; ++k) {
            float weight = factor * scale * b[row * rank + k];
            int start = k * columns;
            for (int i = 0; i < columns; ++i) {
                target[i] += weight * a[start + i];
            }
        }
    }
}
