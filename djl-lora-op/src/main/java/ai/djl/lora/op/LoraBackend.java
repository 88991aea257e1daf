/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** An implementation of the SGMV operator and of the tensor operations beside it. */
public interface LoraBackend {

    /**
     * Returns the name by which users choose this backend.
     *
     * @return the name, such as {@code cpu}
     */
    String getName();

    /**
     * Returns whether this backend computes in the given type.
     *
     * @param type the type of weights and activations
     * @return whether it does
     */
    boolean supports(ElementType type);

    /**
     * Returns the tensor operations of this backend.
     *
     * @param type the type of the weights and activations, {@link #supports supported}
     * @return the operations
     */
    TensorOps getTensorOps(ElementType type);

    /**
     * Returns the memory that an adapter's A and B will take on this backend, before it is loaded;
     * scales of outputs and biases come on top.
     *
     * @param modules the model's modules
     * @param ranks the adapter's rank for each module, by index; 0 for one that it leaves as it is
     * @param type the type of the model's weights
     * @return the size in bytes
     */
    long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type);

    /**
     * Makes an empty table of adapters for a model.
     *
     * @param manager the manager on whose device the adapters are to lie
     * @param modules the model's modules, each at its own index
     * @param type the type of the model's weights and activations, {@link #supports supported}
     * @param adapterMemory the size in bytes of the one block of memory that the table cuts
     *     adapters from, 64 or more; or 0 where each is to have memory of its own, as on a backend
     *     that has no other way
     * @return the table, owned by the caller
     * @throws ai.djl.lora.LoraMemoryException if the system refuses that much memory
     */
    AdapterTable newTable(
            NDManager manager, List<LoraModule> modules, ElementType type, long adapterMemory);

    /**
     * Has operations that the calling thread begins from now on use a share of the processor, so
     * that several threads that compute side by side do not get in each other's way. Without effect
     * where a backend cannot.
     *
     * @param sharers how many threads compute side by side, 1 or more
     */
    default void shareProcessor(int sharers) {}

    /**
     * Ends the worker threads that are kept for the calling thread, which will not compute for a
     * while; they come again when it does. Without effect where there are none.
     */
    default void releaseThreads() {}
}
