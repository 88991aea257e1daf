/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;

/**
 * The adapters that are ready for the operator on one backend: the table {@code [slot][module]}
 * that says where each adapter's weights for each module lie.
 *
 * <p>A table belongs to one model. Adapters may be put and removed while the operator runs for
 * other slots; whoever removes a slot makes sure that no step still uses it (the leases of {@code
 * ai.djl.lora.cache} do).
 */
public interface AdapterTable extends AutoCloseable {

    /**
     * Makes an adapter ready in a free slot.
     *
     * @param adapter the adapter, packed for this table's modules
     * @return the slot
     * @throws ai.djl.lora.LoraException if the adapter does not fit the table or the backend fails
     */
    int put(PackedAdapter adapter);

    /**
     * Frees a slot and the memory of its adapter.
     *
     * @param slot the slot, as {@link #put} returned it
     */
    void remove(int slot);

    /**
     * Applies the adapters of a step to one module:
     *
     * <pre>y[t, :] = base[t, :] + scale_s * B_s (A_s x[t, :]) + bias      for rows t of segment s
     * </pre>
     *
     * @param module the module's index
     * @param x the module's input [rows, inFeatures]
     * @param base the base product {@code W x}, without bias [rows, outFeatures]; its memory may
     *     become the result's, so it must not be used afterwards
     * @param bias the layer's own bias [outFeatures], or null
     * @param plan which rows use which slot
     * @return y [rows, outFeatures], attached to {@code base}'s manager
     */
    NDArray apply(int module, NDArray x, NDArray base, NDArray bias, BatchPlan plan);

    /**
     * Returns the memory that the adapters in this table take.
     *
     * @return the size in bytes
     */
    long residentBytes();

    /** Frees every slot. */
    @Override
    void close();
}
