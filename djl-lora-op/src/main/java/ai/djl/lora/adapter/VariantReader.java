/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/** Reads the tensors of one adapter. */
@FunctionalInterface
public interface VariantReader {

    /**
     * Lays the tensors beside the model, by their names, types and shapes alone: claims those that
     * it uses, says what each module's become, and what is wrong or missing. No data is read before
     * this returns.
     *
     * @param placement the tensors and the model
     * @throws ai.djl.lora.LoraVariantException if the tensors are of a kind that is not supported
     */
    void place(Placement placement);
}
