/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/** Adds to an adapter's changes what it does to one module. */
@FunctionalInterface
public interface ModulePart {

    /**
     * Reads what the part needs and adds its change.
     *
     * @param tensors gives the tensors that were claimed for the part
     * @param changes where to add
     */
    void load(TensorReader tensors, AdapterChanges.Builder changes);
}
