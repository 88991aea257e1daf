/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

/** Changes the rows of a tensor, one at a time. */
@FunctionalInterface
interface RowEdit {

    /** Leaves rows as they are. */
    RowEdit NONE = (row, values) -> {};

    /**
     * Changes a row.
     *
     * @param row the row's number
     * @param values its elements, in float32
     */
    void apply(int row, float[] values);
}
