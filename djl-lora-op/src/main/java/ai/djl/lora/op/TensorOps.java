/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;

/**
 * The tensor operations of a transformer's step that DJL's NDArray lacks, or cannot do for
 * bfloat16.
 *
 * <p>Arrays of bfloat16 come from here alone and must never be asked for their {@code DataType}.
 * Operations on NDArray that name no type (reshape, add, mul of two arrays) work on them as usual.
 * Results are attached to the first array's manager unless said otherwise.
 */
public interface TensorOps {

    /**
     * Returns whether arrays of the given type can be computed with.
     *
     * @param type the type
     * @return whether it is supported
     */
    boolean supports(ElementType type);

    /**
     * Makes an array over little-endian bytes, without a copy where alignment and type allow.
     *
     * <p>The array keeps the buffer reachable for as long as it is open.
     *
     * @param manager the manager to attach the array to
     * @param data a direct buffer whose remaining bytes are the elements; a mapped file for
     *     instance
     * @param stored the type of the elements in the buffer
     * @param wanted the type of the array, {@link #supports supported}; elements are converted
     *     where it differs
     * @param shape the shape
     * @return the array
     */
    NDArray fromBuffer(
            NDManager manager,
            ByteBuffer data,
            ElementType stored,
            ElementType wanted,
            Shape shape);

    /**
     * Makes an array of zeros.
     *
     * @param manager the manager to attach the array to
     * @param shape the shape
     * @param type the type
     * @return the array
     */
    NDArray zeros(NDManager manager, Shape shape, ElementType type);

    /**
     * Returns the type of an array's elements.
     *
     * @param array an array of one of the three types
     * @return the type
     */
    ElementType typeOf(NDArray array);

    /**
     * Converts an array.
     *
     * @param array the array
     * @param type the type wanted
     * @return a new array, also where the type is the same
     */
    NDArray toType(NDArray array, ElementType type);

    /**
     * Looks up the rows of an embedding.
     *
     * @param weight the embedding [vocabulary, hidden]
     * @param ids token ids [tokens], int64
     * @return [tokens, hidden], attached to {@code ids}' manager
     */
    NDArray embedding(NDArray weight, NDArray ids);

    /**
     * Multiplies with a weight as a linear layer does.
     *
     * @param x [tokens, in]
     * @param weight [out, in]
     * @return {@code x * weight^T} [tokens, out]
     */
    NDArray linear(NDArray x, NDArray weight);

    /**
     * Multiplies rows with several weights, each as {@link #linear} does.
     *
     * @param x [rows, in]
     * @param weights [out, in] each
     * @return [rows, out] for each weight
     */
    NDArray[] linearAll(NDArray x, NDArray... weights);

    /**
     * Normalises the last dimension by its root mean square, as Hugging Face's LlamaRMSNorm does:
     * in float32, rounded to x's type before it is multiplied with the weight.
     *
     * @param x [..., size]
     * @param weight [size]
     * @param epsilon added to the mean square
     * @return an array of x's shape and type
     */
    NDArray rmsNorm(NDArray x, NDArray weight, double epsilon);

    /**
     * Adds to an array in place and normalises the sum as {@link #rmsNorm} does.
     *
     * @param x [..., size]; becomes {@code x + delta}
     * @param delta of x's shape and type
     * @param weight [size]
     * @param epsilon added to the mean square
     * @return the normalised sum, an array of x's shape and type
     */
    NDArray addRmsNorm(NDArray x, NDArray delta, NDArray weight, double epsilon);

    /**
     * Computes {@code silu(gate) * up}.
     *
     * @param gate an array
     * @param up an array of the same shape
     * @return an array of the same shape and type
     */
    NDArray siluMul(NDArray gate, NDArray up);

    /**
     * Rotates queries and keys by their positions (RoPE, arXiv 2104.09864, in the half-split form
     * of Hugging Face's checkpoints) and writes the keys and values of a step into their pages.
     *
     * @param q queries [rows, heads, dim], rotated in place
     * @param k keys [rows, keyHeads, dim]
     * @param v values [rows, keyHeads, dim]
     * @param cos cosines, float32 [rows, dim / 2]
     * @param sin sines, float32 [rows, dim / 2]
     * @param pages the layer's pages
     * @param batch where the rows belong
     */
    void rotateAndWrite(
            NDArray q,
            NDArray k,
            NDArray v,
            NDArray cos,
            NDArray sin,
            KvPages pages,
            PagedBatch batch);

    /**
     * Writes keys and values into their pages as they are.
     *
     * @param k keys [rows, keyHeads, dim]
     * @param v values [rows, keyHeads, dim]
     * @param pages a layer's pages
     * @param batch where the rows belong
     */
    void write(NDArray k, NDArray v, KvPages pages, PagedBatch batch);

    /**
     * Attends from the rows of each sequence to its own keys and values, heads in groups, each row
     * to its own position and those before.
     *
     * @param q queries [rows, heads, dim], where the pages' heads divide heads
     * @param pages the layer's pages
     * @param batch where the rows belong; keys and values of the rows were written
     * @param window the newest positions that a row sees, 0 for all
     * @param scale the factor of the products before the softmax
     * @return [rows, heads, dim]
     */
    NDArray pagedAttention(NDArray q, KvPages pages, PagedBatch batch, int window, double scale);

    /**
     * Returns the index of each row's greatest element.
     *
     * @param x float32 [rows, columns]
     * @return for each row the lowest index of its greatest element; -1 where the row holds NaN or
     *     positive infinity, -2 where it holds negative infinity alone
     */
    int[] argmaxRows(NDArray x);

    /**
     * Makes an array whose elements are not set.
     *
     * @param manager the manager to attach it to
     * @param shape its shape
     * @param type its element type
     * @return the array, which takes up memory as it is written where the system allows
     */
    NDArray empty(NDManager manager, Shape shape, ElementType type);

    /**
     * Makes pages of 8-bit integers, whose elements are not set.
     *
     * @param manager the manager to attach them to
     * @param pages the number of pages
     * @param heads the number of heads
     * @param dim the size of a head
     * @param positions the positions of a page, a multiple of 16
     * @return the pages, which take up memory as they are written where the system allows
     * @throws ai.djl.lora.LoraBackendException if the backend does not attend to such pages
     */
    KvPages int8Pages(NDManager manager, long pages, long heads, long dim, long positions);

    /**
     * Copies rows into a part of an array.
     *
     * @param target the array to write to [rows, ...]
     * @param targetRow the first row to write
     * @param source the rows [n, ...], of target's type
     */
    void copyRows(NDArray target, long targetRow, NDArray source);

    /**
     * Returns a view of rows, which shares the array's memory.
     *
     * @param array an array [rows, ...]
     * @param from the first row
     * @param to the row behind the last
     * @return [to - from, ...]
     */
    NDArray rows(NDArray array, long from, long to);

    /**
     * Copies a row out of an array.
     *
     * @param array an array [rows, ...], of pages in 8 bits too
     * @param row the row
     * @param target where its elements go, little endian
     * @param offset the first byte to write
     * @return the byte behind the last that was written
     */
    int readRow(NDArray array, long row, byte[] target, int offset);

    /**
     * Copies elements into a row of an array.
     *
     * @param array an array [rows, ...]
     * @param row the row
     * @param source the elements, of array's type and little endian
     * @param offset their first byte
     * @return the byte behind the last that was read
     */
    int writeRow(NDArray array, long row, byte[] source, int offset);
}
