/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

/**
 * The methods of the native library on tables of adapters that lie on a CUDA device, one to one.
 *
 * <p>A table is known by its id. What changes it, and the calls that read it, happen in the order
 * of libtorch's current stream of the calling thread, so a table belongs to one stream. A problem
 * with an argument is an {@link IllegalArgumentException} that names it; what libtorch or the
 * driver fails at is an {@link ai.djl.engine.EngineException}. Before any of these methods is used
 * {@link LoraLibrary#load()} must have returned. All may be called from any thread.
 */
public final class DeviceTableNative {

    private DeviceTableNative() {}

    /**
     * Makes a table.
     *
     * @param inFeatures the inputs of each module
     * @param outFeatures the outputs of each module
     * @param type float16 or bfloat16, as {@link LoraNative} counts element types
     * @param device the CUDA device
     * @param limits how many slots, rows of a call, ranks of an adapter's module and ranks of a
     *     stack in one module there can be; see {@link #grow}
     * @return the table's id, to be given to {@link #close}
     */
    public static native long create(
            long[] inFeatures, long[] outFeatures, int type, int device, long[] limits);

    /**
     * Raises a table's limits. This takes memory, copies the entries on the device, and must not
     * overlap with copies to {@link #entriesAddress}.
     *
     * @param table the table
     * @param limits as for {@link #create}; those that are lower than they are stay
     */
    public static native void grow(long table, long[] limits);

    /**
     * Returns what an adapter takes of the device's memory.
     *
     * @param table the table
     * @param layout as {@link LoraNative#tablePut} has it
     * @return the size in bytes
     */
    public static native long packedBytes(long table, long[] layout);

    /**
     * Returns the size of a slot's entries.
     *
     * @param table the table
     * @return the size in bytes
     */
    public static native long rowBytes(long table);

    /**
     * Returns where a slot's entries lie, until the table grows.
     *
     * @param table the table
     * @param slot the slot
     * @return their address on the device
     */
    public static native long entriesAddress(long table, int slot);

    /**
     * Puts an adapter into a slot, and waits for libtorch's stream until it is there.
     *
     * @param table the table
     * @param slot the slot
     * @param weights the adapter's block on the CPU, in the table's type
     * @param layout as {@link LoraNative#tablePut} has it
     * @param scales the factor of each module's product
     * @param arena memory on the device, uint8 [bytes]; kept alive by the table
     * @param offset where in the arena the adapter begins, a multiple of 128 in the device's memory
     */
    public static native void put(
            long table,
            int slot,
            long weights,
            long[] layout,
            float[] scales,
            long arena,
            long offset);

    /**
     * Gives an adapter a slot and packs it for a caller who copies it to the device.
     *
     * @param table the table
     * @param slot the slot
     * @param weights as for {@link #put}
     * @param layout as for {@link #put}
     * @param scales as for {@link #put}
     * @param arena as for {@link #put}
     * @param offset as for {@link #put}
     * @param packed uint8 on the CPU, of {@link #packedBytes} and {@link #rowBytes}: written with
     *     what belongs to the arena's offset, and then what belongs to {@link #entriesAddress}
     */
    public static native void pack(
            long table,
            int slot,
            long weights,
            long[] layout,
            float[] scales,
            long arena,
            long offset,
            long packed);

    /**
     * Moves an adapter that no call is reading within its arena.
     *
     * @param table the table
     * @param slot its slot
     * @param offset the offset to move to
     */
    public static native void move(long table, int slot, long offset);

    /**
     * Takes an adapter out of its slot.
     *
     * @param table the table
     * @param slot its slot
     */
    public static native void remove(long table, int slot);

    /**
     * Applies adapters to modules that share their input, as {@link LoraNative#sgmvGroup} does. The
     * plan lies on the device; what it has wrong makes the rows NaN and is told by {@link #check}.
     *
     * @param ys the modules' base products [rows, out], written
     * @param x their input [rows, in]
     * @param biasesOrZero the modules' own biases, or 0
     * @param plan handles of segment starts [segments + 1] and slots [segments], int64; or with
     *     stacks of segment starts, slots [entries], entry starts [segments + 1], int64, and
     *     weights [entries], float32
     * @param table the table
     * @param modules the modules' indices
     */
    public static native void sgmv(
            long[] ys, long x, long[] biasesOrZero, long[] plan, long table, int[] modules);

    /**
     * Waits for the device.
     *
     * @param table the table
     * @throws IllegalArgumentException with what the kernels have refused since the last time
     */
    public static native void check(long table);

    /**
     * Frees a table. The arenas stay their owners'.
     *
     * @param table the table
     */
    public static native void close(long table);

    /**
     * Returns where a tensor's elements lie.
     *
     * @param tensor a tensor on any device
     * @return the address of the first
     */
    public static native long address(long tensor);

    /**
     * Returns the stream on which libtorch computes in the calling thread.
     *
     * @param device the CUDA device
     * @return the {@code cudaStream_t} as a number; 0 is the default stream
     */
    public static native long stream(int device);

    /**
     * Returns how many tables there are.
     *
     * @return the number of open tables on devices
     */
    public static native long openTables();
}
