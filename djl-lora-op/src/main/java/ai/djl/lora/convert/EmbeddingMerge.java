/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LoraWeights;
import java.util.HashMap;
import java.util.Map;

/** Merges what an adapter does to the embedding into the rows of its table, one for each token. */
final class EmbeddingMerge implements RowEdit {

    private final Map<Integer, Integer> rowOfToken = new HashMap<>();
    private final float[] rows;
    private final int rank;
    private final int vocabulary;
    private final float scale;
    private final float[] a;
    private final float[] b;

    /**
     * Constructs a new {@code EmbeddingMerge} instance.
     *
     * @param change the change; its replaced table is not this class's
     */
    EmbeddingMerge(EmbeddingChange change) {
        for (int i = 0; i < change.tokens().length; ++i) {
            rowOfToken.put(change.tokens()[i], i);
        }
        rows = change.rows() == null ? new float[0] : change.rows().toFloats();
        LoraWeights product = change.product();
        rank = product == null ? 0 : product.rank();
        vocabulary = product == null ? 0 : Math.toIntExact(product.a().shape()[1]);
        scale = product == null ? 0 : product.scale();
        a = product == null ? null : product.a().toFloats();
        b = product == null ? null : product.b().toFloats();
    }

    /** {@inheritDoc} */
    @Override
    public void apply(int token, float[] values) {
        if (replace(token, values)) {
            return;
        }
        for (int i = 0; i < values.length; ++i) {
            float added = 0;
            for (int k = 0; k < rank; ++k) {
                added += b[i * rank + k] * a[k * vocabulary + token];
            }
            values[i] += scale * added;
        }
    }

    /**
     * Replaces a token's row where the adapter has one.
     *
     * @param token the token
     * @param values its row
     * @return whether there was one
     */
    boolean replace(int token, float[] values) {
        Integer row = rowOfToken.get(token);
        if (row != null) {
            System.arraycopy(rows, row * values.length, values, 0, values.length);
        }
        return row != null;
    }
}
