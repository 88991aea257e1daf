/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.ndarray.NDArray;
import java.util.Optional;

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
     * @throws ai.djl.lora.LoraMemoryException if the adapters' memory has no block for it, and
     *     whether that is because it lies in pieces; see {@link #defragment}
     * @throws ai.djl.lora.LoraException if the adapter does not fit the table or the backend fails
     */
    int put(PackedAdapter adapter);

    /**
     * Makes an adapter ready in the given slot, as when another backend's table is rebuilt.
     *
     * @param slot a free slot
     * @param adapter the adapter, packed for this table's modules
     * @throws ai.djl.lora.LoraMemoryException as for {@link #put(PackedAdapter)}
     * @throws ai.djl.lora.LoraException if the slot is taken, the adapter does not fit the table or
     *     the backend fails
     */
    void put(int slot, PackedAdapter adapter);

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
     * Applies the adapters of a step to several modules that share their input, such as the
     * projections to queries, keys and values.
     *
     * @param modules the modules' indices
     * @param x their input [rows, inFeatures]
     * @param bases the base product of each module, as for {@link #apply}
     * @param biases the bias of each module, or null in its place
     * @param plan which rows use which adapters
     * @return the result of each module, attached as for {@link #apply}
     */
    default NDArray[] applyGroup(
            int[] modules, NDArray x, NDArray[] bases, NDArray[] biases, BatchPlan plan) {
        NDArray[] results = new NDArray[modules.length];
        for (int i = 0; i < modules.length; ++i) {
            results[i] = apply(modules[i], x, bases[i], biases[i], plan);
        }
        return results;
    }

    /**
     * Multiplies with the weights of several modules that share their input, and applies the
     * adapters of a step to the products; see {@link #applyGroup}.
     *
     * @param ops the operations of this table's backend
     * @param modules the modules' indices
     * @param x their input [rows, inFeatures]
     * @param weights the base weight of each module [outFeatures, inFeatures]
     * @param biases the bias of each module, or null in its place
     * @param plan which rows use which adapters
     * @return the result of each module [rows, outFeatures], attached to {@code x}'s manager
     */
    default NDArray[] linearAll(
            TensorOps ops,
            int[] modules,
            NDArray x,
            NDArray[] weights,
            NDArray[] biases,
            BatchPlan plan) {
        return applyGroup(modules, x, ops.linearAll(x, weights), biases, plan);
    }

    /**
     * Computes the first half of a gated feed-forward part with the adapters of a step: {@code
     * silu(gate(x)) * up(x)}.
     *
     * @param ops the operations of this table's backend
     * @param modules the indices of gate and up
     * @param x their input [rows, inFeatures]
     * @param weights their base weights [outFeatures, inFeatures]
     * @param biases their biases, or null in the place of one
     * @param plan which rows use which adapters
     * @return [rows, outFeatures], attached to {@code x}'s manager
     */
    default NDArray gatedLinear(
            TensorOps ops,
            int[] modules,
            NDArray x,
            NDArray[] weights,
            NDArray[] biases,
            BatchPlan plan) {
        NDArray[] both = linearAll(ops, modules, x, weights, biases, plan);
        return ops.siluMul(both[0], both[1]);
    }

    /**
     * Returns the memory that an adapter will take in this table.
     *
     * @param adapter the adapter, packed for this table's modules
     * @return the size in bytes, exactly what {@link #residentBytes} grows by when it is put
     * @throws ai.djl.lora.LoraException if the adapter does not fit the table
     */
    long bytesOf(PackedAdapter adapter);

    /**
     * Returns the memory that the adapters in this table take.
     *
     * @return the size in bytes
     */
    long residentBytes();

    /**
     * Returns how the memory stands that the adapters share.
     *
     * @return the statistics; empty where each adapter has memory of its own
     */
    Optional<PoolStatistics> poolStatistics();

    /**
     * Slides adapters together in the memory that they share, so that what is free becomes one
     * piece. Each is held for its own move alone; puts and removals wait for one move at most.
     *
     * @param guard lets slots be moved that nobody computes with
     * @return what was moved; nothing where each adapter has memory of its own
     * @throws IllegalStateException if the table is closed meanwhile
     */
    Defragmentation defragment(SlotGuard guard);

    /**
     * Gives memory that no adapter lies in back to the system, as far as this table keeps any.
     *
     * @return how many bytes were given back
     */
    default long trim() {
        return 0;
    }

    /** Frees every slot. */
    @Override
    void close();
}
