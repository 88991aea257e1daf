/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import java.nio.ByteBuffer;

/**
 * The methods of the native library, one to one.
 *
 * <p>A tensor is a {@code long}: the handle of a libtorch tensor, the same that DJL's {@code
 * PtNDArray.getHandle()} gives. A handle that a method returns is the caller's, who makes an array
 * of it ({@code new PtNDArray(manager, handle)}) or frees it with {@link #deleteTensor}. Methods
 * borrow the tensors that they are given. All tensors are on the CPU.
 *
 * <p>Element types are codes: 0 float32, 1 float16, 2 bfloat16, 3 int64, 4 int32, 5 bool, 6 uint8,
 * 7 int8, 8 float64, and -1 for any other. "Floating" below means float32, float16 or bfloat16.
 *
 * <p>Every argument is checked before memory is touched. What is not allowed is an {@link
 * IllegalArgumentException} that names the argument, what it was and what is allowed; what libtorch
 * itself fails at is an {@link ai.djl.engine.EngineException}. Two things cannot be checked: that a
 * handle other than 0 is one of a live tensor, and that memory which a method writes to is writable
 * (a read-only mapped file is not).
 *
 * <p>Before any method is used {@link LoraLibrary#load()} must have returned. All methods may be
 * called from any thread; writing to a tensor that another thread uses is the caller's to prevent.
 */
public final class LoraNative {

    /** The CPU, where a device is asked for. */
    public static final int CPU = -1;

    /** The code of 32-bit floating point. */
    public static final int FLOAT32 = 0;

    /** The code of 16-bit floating point. */
    public static final int FLOAT16 = 1;

    /** The code of bfloat16. */
    public static final int BFLOAT16 = 2;

    /** The code of 64-bit integers. */
    public static final int INT64 = 3;

    /** The code of 32-bit integers. */
    public static final int INT32 = 4;

    /** The code of booleans. */
    public static final int BOOL = 5;

    /** The code of unsigned bytes. */
    public static final int UINT8 = 6;

    /** The code of signed bytes. */
    public static final int INT8 = 7;

    /** The code of 64-bit floating point. */
    public static final int FLOAT64 = 8;

    /** The number of values that a module has in a table's layout. */
    public static final int LAYOUT_COLUMNS = 5;

    private LoraNative() {}

    /**
     * Returns the version of the library, and in brackets what it runs on.
     *
     * @return for example {@code 0.1.0 (stable C interface, libtorch 2.7.1)}
     */
    public static native String version();

    /**
     * Returns the instruction sets that this CPU has, and the operating system allows, as far as
     * they matter here.
     *
     * @return names with a space between, for example {@code avx2 fma avx512f avx512_bf16}; empty
     *     where there are none
     */
    public static native String cpuFeatures();

    /**
     * Returns how many threads an operation called from this thread uses at most.
     *
     * @return the number of threads, 1 or more
     */
    public static native int threads();

    /**
     * Sets how many threads operations called from this thread use at most, those of libtorch too.
     * libtorch sets its own number when a thread first computes in parallel, which has to be
     * before.
     *
     * @param threads the number of threads; 1 where it is less
     */
    public static native void useThreads(int threads);

    /**
     * Ends the worker threads that OpenMP keeps for the calling thread; they come again when it
     * next computes. While more threads are kept than there are processors, libgomp's workers sleep
     * between parallel regions instead of waiting on the spot, and every small operation of every
     * thread takes some microseconds more: so a thread that has computed and will not for a while
     * should call this.
     */
    public static native void releaseThreads();

    /**
     * Returns a tensor's element type.
     *
     * @param tensor the tensor
     * @return the code of its type, -1 for one that has no code
     */
    public static native int elementType(long tensor);

    /**
     * Returns a tensor's shape.
     *
     * @param tensor the tensor
     * @return the sizes
     */
    public static native long[] shape(long tensor);

    /**
     * Makes a tensor over the memory of a direct buffer, without a copy.
     *
     * <p>The tensor does not keep the buffer reachable: the caller must, for as long as the tensor
     * or any view of it lives. The buffer's position and limit are not looked at.
     *
     * @param direct a direct buffer, a mapped file for instance, in the machine's byte order
     * @param byteOffset where the first element lies, a multiple of the element's size in memory
     * @param type the element type
     * @param shape the shape
     * @return a contiguous tensor
     */
    public static native long fromBuffer(
            ByteBuffer direct, long byteOffset, int type, long[] shape);

    /**
     * Makes a tensor whose elements are not set. It lies on the CPU.
     *
     * @param type the element type
     * @param shape the shape
     * @return a contiguous tensor that owns its memory
     */
    public static long empty(int type, long[] shape) {
        return empty(type, shape, CPU);
    }

    /**
     * Makes a tensor whose elements are not set.
     *
     * @param type the element type
     * @param shape the shape
     * @param device where it is to lie: the number of a CUDA device, or {@link #CPU}
     * @return a contiguous tensor that owns its memory
     */
    public static native long empty(int type, long[] shape, int device);

    /**
     * Makes a tensor of zeros. It lies on the CPU.
     *
     * @param type the element type
     * @param shape the shape
     * @return a contiguous tensor that owns its memory
     */
    public static long zeros(int type, long[] shape) {
        return zeros(type, shape, CPU);
    }

    /**
     * Makes a tensor of zeros.
     *
     * @param type the element type
     * @param shape the shape
     * @param device where it is to lie: the number of a CUDA device, or {@link #CPU}
     * @return a contiguous tensor that owns its memory
     */
    public static native long zeros(int type, long[] shape, int device);

    /**
     * Asks the operating system for huge pages under a tensor's memory, wherever a whole one lies
     * within it; for large tensors that kernels stream, before they are first written. Without
     * effect where the system has none to give.
     *
     * @param tensor a contiguous tensor
     */
    public static native void preferHugePages(long tensor);

    /**
     * Gives the whole pages within a part of a tensor's memory back to the operating system. What
     * they held is lost, and they are taken again when they are next written.
     *
     * @param tensor a contiguous tensor
     * @param byteOffset the first byte of the part
     * @param length the number of bytes
     * @return how many bytes were given back; 0 where the system cannot take them
     */
    public static native long discardPages(long tensor, long byteOffset, long length);

    /**
     * Copies bytes into a tensor.
     *
     * @param tensor a contiguous tensor
     * @param byteOffset the first byte of the tensor to write
     * @param source the bytes
     * @param from the first byte of the source to read
     * @param length the number of bytes
     */
    public static native void copyFromBytes(
            long tensor, long byteOffset, byte[] source, int from, int length);

    /**
     * Copies bytes of a direct buffer into a tensor. The buffer's position and limit are not looked
     * at.
     *
     * @param tensor a contiguous tensor
     * @param byteOffset the first byte of the tensor to write
     * @param direct the buffer
     * @param from the first byte of the buffer to read
     * @param length the number of bytes
     */
    public static native void copyFromBuffer(
            long tensor, long byteOffset, ByteBuffer direct, int from, int length);

    /**
     * Copies bytes out of a tensor.
     *
     * @param tensor a contiguous tensor
     * @param byteOffset the first byte of the tensor to read
     * @param target the array to write to
     * @param to the first byte of the array to write
     * @param length the number of bytes
     */
    public static native void copyToBytes(
            long tensor, long byteOffset, byte[] target, int to, int length);

    /**
     * Reads the whole memory of a tensor with every thread, as fast as the machine allows. The time
     * that it takes is the limit that memory sets to a kernel which reads as much.
     *
     * @param tensor a contiguous tensor
     * @return a sum of what was read, which means nothing but that all of it was
     */
    public static native long readAll(long tensor);

    /**
     * Converts a tensor.
     *
     * @param tensor a tensor of any type and strides
     * @param type float32, float16 or bfloat16
     * @return a new contiguous tensor of the same shape, also where the type is the same
     */
    public static native long toType(long tensor, int type);

    /**
     * Copies a tensor to a device, or to another place on its own.
     *
     * @param tensor a tensor of any strides
     * @param device the number of a CUDA device, or {@link #CPU}
     * @return a new contiguous tensor of the same shape and type
     */
    public static native long toDevice(long tensor, int device);

    /**
     * Returns the kernels in use: the best that this CPU has, or those that the environment
     * variable {@code DJL_LORA_ISA} names.
     *
     * @return portable, avx2, avx512, avx512_bf16 or amx
     */
    public static native String kernels();

    /**
     * Multiplies with a weight as a linear layer does: {@code x * weight^T + bias}. A few rows go
     * through this library's streaming kernel, more through libtorch's matmul.
     *
     * @param x [..., in], floating
     * @param weight [out, in], of x's type
     * @param biasOrZero [out], of x's type; or 0
     * @return [..., out]
     */
    public static native long linear(long x, long weight, long biasOrZero);

    /**
     * Multiplies rows with several weights, as {@link #linear} does with one; for few rows in one
     * go.
     *
     * @param x [rows, in], floating
     * @param weights [out, in] each, of x's type
     * @return [rows, out] for each weight
     */
    public static native long[] linearGroup(long x, long[] weights);

    /**
     * Multiplies rows with several weights and applies the adapters to the products: what {@link
     * #linearGroup} gives, and {@link #sgmvGroup} or {@link #sgmvStacked} make of that. Few rows go
     * through in one go, in which the adapters' products are under way before the last of the
     * weights are.
     *
     * @param x [rows, in], of the table's type
     * @param weights the base weight of each module [out, in], 1 to 4
     * @param biasesOrZero the bias of each module, or 0
     * @param segmentStarts as in {@link #sgmv}
     * @param entryStartsOrNull as in {@link #sgmvStacked}; null where each segment has one slot
     * @param slots the slot of each segment, or of each entry where there are entryStarts
     * @param entryWeightsOrNull as in {@link #sgmvStacked}; null without entryStarts
     * @param table the table
     * @param modules the index of each module in the table; all take as many inputs
     * @return [rows, out] for each module
     */
    public static native long[] linearSgmv(
            long x,
            long[] weights,
            long[] biasesOrZero,
            long[] segmentStarts,
            long[] entryStartsOrNull,
            long[] slots,
            float[] entryWeightsOrNull,
            long table,
            int[] modules);

    /**
     * Computes {@link #siluMul} of the two results that {@link #linearSgmv} gives, each row as soon
     * as it is complete.
     *
     * @param x as in {@link #linearSgmv}
     * @param weights the base weights of gate and up [out, in]
     * @param biasesOrZero as in {@link #linearSgmv}
     * @param segmentStarts as in {@link #linearSgmv}
     * @param entryStartsOrNull as in {@link #linearSgmv}
     * @param slots as in {@link #linearSgmv}
     * @param entryWeightsOrNull as in {@link #linearSgmv}
     * @param table the table
     * @param modules the two modules' indices in the table
     * @return [rows, out]
     */
    public static native long gatedLinearSgmv(
            long x,
            long[] weights,
            long[] biasesOrZero,
            long[] segmentStarts,
            long[] entryStartsOrNull,
            long[] slots,
            float[] entryWeightsOrNull,
            long table,
            int[] modules);

    /**
     * Multiplies a few rows with a weight of 8-bit integers: {@code (x * weight^T) * scale + bias}.
     *
     * @param x [..., in], floating, contiguous
     * @param weight int8 [out, in], rows without gaps
     * @param scale float32 [out], contiguous
     * @param biasOrZero [out], of x's type, contiguous; or 0
     * @return [..., out], contiguous
     */
    public static native long linearInt8(long x, long weight, long scale, long biasOrZero);

    /**
     * Looks up rows.
     *
     * @param weight [rows, size], floating
     * @param ids [...], int64, contiguous, each from 0 to rows - 1
     * @return [..., size]
     */
    public static native long embedding(long weight, long ids);

    /**
     * Computes {@code gate * sigmoid(gate) * up}, rounded after the first product and the second.
     *
     * @param gate any shape, floating, contiguous
     * @param up of gate's shape and type, contiguous
     * @return a contiguous tensor of gate's shape and type
     */
    public static native long siluMul(long gate, long up);

    /**
     * Normalises the last dimension by its root mean square (Zhang and Sennrich, arXiv 1910.07467)
     * and multiplies with a weight, as Hugging Face's LlamaRMSNorm does: in float32, rounded to x's
     * type before the weight.
     *
     * @param x [..., size] of 2 dimensions or more, floating, contiguous
     * @param deltaOrZero of x's shape and type, contiguous: is added to x, in place and rounded,
     *     before; or 0
     * @param weight [size], of x's type, contiguous
     * @param eps added to the mean square, 0 or more
     * @return a contiguous tensor of x's shape and type
     */
    public static native long rmsNorm(long x, long deltaOrZero, long weight, double eps);

    /**
     * Finds the greatest element of each row.
     *
     * @param x [rows, columns], float32, contiguous
     * @param indices takes for each row the index of its greatest element, the lowest where there
     *     are several; -1 where the row holds NaN or positive infinity, -2 where it holds negative
     *     infinity alone
     */
    public static native void argmaxRows(long x, int[] indices);

    /**
     * Attends from the newest tokens of sequences to keys and values in pages (arXiv 2309.06180),
     * query heads in groups that share keys. The same as the operator {@code
     * djl_lora::paged_attention}.
     *
     * @param q [tokens, heads, dim], floating, the last dimension contiguous
     * @param keys [pages, kvHeads, dim, positions], of q's type, contiguous; kvHeads divides heads,
     *     positions is a multiple of 16; or int8 [pages, kvHeads, dim + 2, positions], where the
     *     last two rows of each head's bytes are the positions' scales in bfloat16
     * @param values [pages, kvHeads, positions, dim], of q's type, contiguous; or, as keys are,
     *     int8 [pages, kvHeads, positions, dim + 2], the last two bytes of each row its scale
     * @param rowStarts int64 [sequences + 1], the rows of each sequence
     * @param lengths int64 [sequences], the positions of each sequence, of which its rows are the
     *     last
     * @param pageStarts int64 [sequences + 1], the parts of the page table
     * @param pageTable int64, the pages of each sequence in their order
     * @param window the newest positions that a row sees, 0 for all
     * @param scale the factor of the products before the softmax
     * @return [tokens, heads, dim], contiguous
     */
    public static native long pagedAttention(
            long q,
            long keys,
            long values,
            long rowStarts,
            long lengths,
            long pageStarts,
            long pageTable,
            long window,
            double scale);

    /**
     * Turns queries and keys by their positions (see {@link #rotary}) and writes keys and values
     * into pages. The same as the operator {@code djl_lora::kv_write}.
     *
     * @param qOrZero [tokens, heads, dim], turned in place; or 0
     * @param k [tokens, kvHeads, dim], floating, the last dimension contiguous
     * @param v as k
     * @param cosOrZero float32 [tokens, dim / 2], contiguous; 0 to turn nothing, without q
     * @param sinOrZero as cos
     * @param keys [pages, kvHeads, dim, positions], of k's type, contiguous; or int8 as {@link
     *     #pagedAttention} takes them, and values too: then each row is rounded by its greatest
     *     magnitude
     * @param values [pages, kvHeads, positions, dim], of k's type, contiguous
     * @param places int64 [tokens]: page * positions + position in the page, none twice
     */
    public static native void kvWrite(
            long qOrZero,
            long k,
            long v,
            long cosOrZero,
            long sinOrZero,
            long keys,
            long values,
            long places);

    /**
     * Turns queries or keys by their positions in place (RoPE, arXiv 2104.09864): the halves {@code
     * (x1, x2)} of a head become {@code (x1 cos - x2 sin, x2 cos + x1 sin)}, computed in float32
     * and rounded once.
     *
     * @param x [tokens, heads, dim], floating, the last dimension contiguous; written to
     * @param cos float32 [tokens, dim / 2]
     * @param sin float32 [tokens, dim / 2]
     */
    public static native void rotary(long x, long cos, long sin);

    /**
     * Attends from queries to keys and values, query heads in groups that share keys.
     *
     * @param q [qTokens, heads, dim], floating, the last dimension contiguous
     * @param k [kvTokens, kvHeads, dim], of q's type, where kvHeads divides heads
     * @param v as k
     * @param maskOrZero bool [qTokens, kvTokens], true where a query sees a key; or 0. Each query
     *     should see some key
     * @param causal whether query i sees keys 0 to i alone; allowed where qTokens = kvTokens and
     *     without a mask
     * @param scale the factor of the products before the softmax
     * @return [qTokens, heads, dim], contiguous
     */
    public static native long attention(
            long q, long k, long v, long maskOrZero, boolean causal, double scale);

    /**
     * Copies rows: {@code target[targetRow : targetRow + n] = source}.
     *
     * @param target [rows, ...]; written to
     * @param targetRow the first row to write
     * @param source [n, ...], of target's type, not in the rows that are written
     */
    public static native void copyRows(long target, long targetRow, long source);

    /**
     * Returns a view of rows, which shares the tensor's memory.
     *
     * @param tensor [rows, ...]
     * @param from the first row
     * @param to the row behind the last
     * @return [to - from, ...]
     */
    public static native long narrowRows(long tensor, long from, long to);

    /**
     * Makes an adapter table for a model.
     *
     * @param inFeatures the number of inputs of each module
     * @param outFeatures the number of outputs of each module
     * @param type the type of weights and activations, floating
     * @return the table's id, which is never used again
     */
    public static native long tableCreate(long[] inFeatures, long[] outFeatures, int type);

    /**
     * Puts an adapter into a slot of a table, in place of what was there.
     *
     * <p>The table copies the weights, packed for the kernels; the tensor may be changed or freed
     * afterwards. The copy lies in memory of its own, which lives until the slot is empty again and
     * the last {@link #sgmv} that began before has ended; or in a part of an arena, which the table
     * keeps alive as long. That nobody still reads the part for an adapter that was removed is the
     * caller's to see to.
     *
     * @param table the table
     * @param slot the slot, 0 to 65535
     * @param weights the whole adapter, of the table's type [elements], contiguous
     * @param layout {@link #LAYOUT_COLUMNS} values for each module: the rank (0 where the module is
     *     not adapted), and where A [rank, in], B [out, rank], the scale of the outputs [out] and
     *     the bias [out] begin, in elements; -1 for a part that is not there, and for A and B where
     *     the rank is 0
     * @param scales what the product {@code B A x} of each module is multiplied with, finite
     * @param arenaOrZero where the adapter is to lie, uint8 or int8 [bytes], contiguous, on a cache
     *     line of 64 bytes; or 0 for memory of its own
     * @param offset the adapter's first byte in the arena, a multiple of 64. The {@link
     *     #tablePackedBytes} bytes from there on must lie within the arena and not overlap with an
     *     adapter of this table, that of the slot included. 0 without an arena
     */
    public static native void tablePut(
            long table,
            int slot,
            long weights,
            long[] layout,
            float[] scales,
            long arenaOrZero,
            long offset);

    /**
     * Puts an adapter of 8-bit integers into a slot of a table, in place of what was there. Each
     * row of A and each column of B has a scale.
     *
     * @param table the table
     * @param slot the slot, 0 to 65535
     * @param weights A and B, int8 [elements], contiguous
     * @param componentScales for each module in turn the scales of A's rows and then those of B's
     *     columns, rank each, finite
     * @param vectorsOrZero where scales of outputs and biases lie, of the table's type [elements],
     *     contiguous; or 0 where there are none
     * @param layout as in {@link #tablePut}, the last two offsets of a module in {@code
     *     vectorsOrZero}
     * @param scales as in {@link #tablePut}
     * @param arenaOrZero as in {@link #tablePut}
     * @param offset as in {@link #tablePut}
     */
    public static native void tablePutInt8(
            long table,
            int slot,
            long weights,
            float[] componentScales,
            long vectorsOrZero,
            long[] layout,
            float[] scales,
            long arenaOrZero,
            long offset);

    /**
     * Moves an adapter to another place in its arena. The two places may overlap.
     *
     * <p>The caller makes sure that nobody computes with the slot, or changes it, until this has
     * returned. Other slots may be used.
     *
     * @param table the table
     * @param slot a slot whose adapter was put into an arena
     * @param offset the adapter's new first byte in that arena, as in {@link #tablePut}
     */
    public static native void tableMove(long table, int slot, long offset);

    /**
     * Returns the memory that an adapter will take in a table, before it is put there.
     *
     * @param table the table
     * @param layout as in {@link #tablePut}; of the offsets only whether there is a part is looked
     *     at, and a rank is at most 1,048,576
     * @param int8 whether the adapter is to be put by {@link #tablePutInt8}
     * @return the size in bytes, a multiple of 64
     */
    public static native long tablePackedBytes(long table, long[] layout, boolean int8);

    /**
     * Returns the memory that an adapter takes in a table.
     *
     * @param table the table
     * @param slot a slot that holds an adapter
     * @return the size in bytes
     */
    public static native long tableBytes(long table, int slot);

    /**
     * Empties a slot. An {@link #sgmv} that is running keeps what it began with.
     *
     * @param table the table
     * @param slot a slot that holds an adapter
     */
    public static native void tableRemove(long table, int slot);

    /**
     * Closes a table and empties its slots.
     *
     * @param table an open table
     */
    public static native void tableClose(long table);

    /**
     * Applies adapters to one module's base product, in place:
     *
     * <pre>
     * y[t, :] = out_scale_s * (y[t, :] + scale_s * B_s (A_s x[t, :])) + bias_s
     * </pre>
     *
     * <p>for rows t of segment s, whose adapter is in slot s (SGMV, arXiv 2310.18547). The bias is
     * the adapter's where it has one, else the layer's. Sums are float32 and each output is rounded
     * once. The bits of a row do not depend on the number of threads, nor on the other rows, except
     * that a bfloat16 segment of 16 rows or more goes through AMX tiles where the CPU has them.
     *
     * @param y the base product {@code W x} without bias [tokens, out], of the table's type, rows
     *     without gaps; written to
     * @param x [tokens, in], of the table's type, rows without gaps, not in y's memory
     * @param biasOrZero the layer's bias [out], contiguous; or 0
     * @param segmentStarts the first row of each segment and behind them the number of rows: from 0
     *     to tokens, never falling
     * @param slots the slot of each segment, -1 for rows without an adapter
     * @param table the table
     * @param module the module's index in the table
     */
    public static native void sgmv(
            long y,
            long x,
            long biasOrZero,
            long[] segmentStarts,
            long[] slots,
            long table,
            int module);

    /**
     * Applies adapters to several modules that share their input, queries, keys and values for
     * instance, as {@link #sgmv} would one after the other.
     *
     * @param ys the base product of each module, 1 to 4, none in another's memory; written to
     * @param x as in {@link #sgmv}
     * @param biasesOrZero the bias of each module, or 0
     * @param segmentStarts as in {@link #sgmv}
     * @param slots as in {@link #sgmv}
     * @param table the table
     * @param modules the index of each module in the table; all take as many inputs
     */
    public static native void sgmvGroup(
            long[] ys,
            long x,
            long[] biasesOrZero,
            long[] segmentStarts,
            long[] slots,
            long table,
            int[] modules);

    /**
     * As {@link #sgmvGroup}, for rows that may use several adapters with a weight each:
     *
     * <pre>
     * y[t, :] = y[t, :] + bias + sum of weight_e * scale_e * B_e (A_e x[t, :]) over entries e
     * </pre>
     *
     * <p>Segment s has the entries {@code entryStarts[s]} to {@code entryStarts[s + 1] - 1}: none
     * for base rows, at most 64. An adapter that has a scale of the outputs (DoRA, IA3) or a bias
     * of its own in one of the modules is refused unless it is alone and its weight is 1.
     *
     * @param ys as in {@link #sgmvGroup}
     * @param x as in {@link #sgmv}
     * @param biasesOrZero the bias of each module, or 0
     * @param segmentStarts as in {@link #sgmv}
     * @param entryStarts the first entry of each segment and behind them the number of entries
     * @param entrySlots the slot of each entry
     * @param entryWeights the weight of each entry, finite
     * @param table the table
     * @param modules the index of each module in the table; all take as many inputs
     */
    public static native void sgmvStacked(
            long[] ys,
            long x,
            long[] biasesOrZero,
            long[] segmentStarts,
            long[] entryStarts,
            long[] entrySlots,
            float[] entryWeights,
            long table,
            int[] modules);

    /**
     * Frees a handle that is not an array's.
     *
     * @param tensor the tensor's handle, which must not be used afterwards
     */
    public static native void deleteTensor(long tensor);

    /**
     * Returns how many tensor handles the library itself holds: those of running calls. For tests
     * that look for leaks.
     *
     * @return the number of handles
     */
    public static native long liveHandles();

    /**
     * Returns how many tables are open.
     *
     * @return the number of tables
     */
    public static native long openTables();

    /**
     * Returns how many adapters are alive: those in tables, and those removed that a running call
     * still uses.
     *
     * @return the number of adapters
     */
    public static native long liveAdapters();
}
