/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.tensor.HostTensor;

/**
 * Merges what an adapter does to a linear layer into the rows of its weight:
 *
 * <pre>
 * row = outputScale * magnitude / norm * (inputScale * W' + scale * B A)
 * </pre>
 *
 * with the norm of the row of {@code W' + scale * B A}; see {@link LinearChange}.
 */
final class LinearMerge implements RowEdit {

    private final ProductRows product;
    private final float[] magnitude;
    private final float[] outputScale;
    private final float[] inputScale;

    /**
     * Constructs a new {@code LinearMerge} instance.
     *
     * @param change the change; its replaced weight and its bias are not this class's
     */
    LinearMerge(LinearChange change) {
        product = change.product() == null ? null : new ProductRows(change.product());
        magnitude = floats(change.magnitude());
        outputScale = floats(change.outputScale());
        inputScale = floats(change.inputScale());
    }

    /** {@inheritDoc} */
    @Override
    public void apply(int row, float[] values) {
        float[] added = new float[values.length];
        if (product != null) {
            product.addTo(added, row, 1);
        }
        double factor = 1;
        if (magnitude != null) {
            double squares = 0;
            for (int i = 0; i < values.length; ++i) {
                double sum = values[i] + added[i];
                squares += sum * sum;
            }
            factor = magnitude[row] / Math.sqrt(squares);
        }
        if (outputScale != null) {
            factor *= outputScale[row];
        }
        for (int i = 0; i < values.length; ++i) {
            float base = inputScale == null ? values[i] : values[i] * inputScale[i];
            values[i] = (float) (factor * (base + added[i]));
        }
    }

    /**
     * Returns the layer's merged bias.
     *
     * @param change the change
     * @param base the layer's own bias, or null
     * @return [out], or null where there is neither
     */
    static float[] bias(LinearChange change, float[] base) {
        float[] bias = change.bias() == null ? base : change.bias().toFloats();
        float[] shift = floats(change.shift());
        if (bias == null && shift == null) {
            return null;
        }
        float[] scale = floats(change.outputScale());
        float[] merged = new float[bias == null ? shift.length : bias.length];
        for (int i = 0; i < merged.length; ++i) {
            float sum = (bias == null ? 0 : bias[i]) + (shift == null ? 0 : shift[i]);
            merged[i] = scale == null ? sum : scale[i] * sum;
        }
        return merged;
    }

    private static float[] floats(HostTensor tensor) {
        return tensor == null ? null : tensor.toFloats();
    }
}
