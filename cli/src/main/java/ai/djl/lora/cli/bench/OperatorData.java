/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import java.util.SplittableRandom;

/**
 * Small random numbers for tensors and adapters. They are copies of one block from different places
 * in it: cheap to make by the gigabyte, and no adapter is like another.
 */
public final class OperatorData {

    private static final int BLOCK_BYTES = 1 << 20;
    private static final long STRIDE = 104_729; // a prime: places far from one another

    private final ElementType type;
    private final byte[] block;

    /**
     * Constructs a new {@code OperatorData} instance.
     *
     * @param type float32 or bfloat16
     * @throws ai.djl.lora.LoraBackendException if the native library, which makes tensors of either
     *     type, cannot be used here
     */
    public OperatorData(ElementType type) {
        if (type == ElementType.FLOAT16) {
            throw new IllegalArgumentException(
                    "type is " + type + "; expected float32 or bfloat16");
        }
        LoraLibrary.load();
        this.type = type;
        block = new byte[BLOCK_BYTES];
        new SplittableRandom(7).nextBytes(block);
        for (int i = type.bytes() - 1; i < BLOCK_BYTES; i += type.bytes()) {
            // the sign and an exponent of -7 or -6: 1/128 to 1/32, or that below zero
            block[i] = (byte) (block[i] & 0x80 | 0x3c);
        }
    }

    /**
     * Returns the type of the numbers.
     *
     * @return the type
     */
    public ElementType type() {
        return type;
    }

    /**
     * Returns one of a case's adapters: A of every module, and behind them B of every module.
     *
     * @param shape the case
     * @param modules the number of modules
     * @param slot the adapter's slot
     * @return the adapter
     */
    public PackedAdapter adapter(OperatorCase shape, int modules, int slot) {
        int rank = shape.rank(slot);
        long sizeA = (long) rank * shape.in();
        long sizeB = (long) rank * shape.out();
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[modules];
        for (int m = 0; m < modules; ++m) {
            entries[m] = new PackedAdapter.Entry(rank, 1f, m * sizeA, modules * sizeA + m * sizeB);
        }
        byte[] data = new byte[Math.toIntExact(modules * shape.adapterBytes(slot, type))];
        int from = (int) ((slot + 1) * STRIDE % (BLOCK_BYTES / type.bytes())) * type.bytes();
        for (int to = 0; to < data.length; from = 0) {
            int length = Math.min(BLOCK_BYTES - from, data.length - to);
            System.arraycopy(block, from, data, to, length);
            to += length;
        }
        return new PackedAdapter(type, data, entries);
    }

    /**
     * Makes a tensor.
     *
     * @param manager the manager to attach it to
     * @param height the number of rows
     * @param width the number of columns
     * @return the tensor [height, width]
     */
    public NDArray tensor(NDManager manager, long height, long width) {
        NDArray tensor = empty(manager, height, width);
        long size = height * width * type.bytes();
        for (long offset = 0; offset < size; offset += BLOCK_BYTES) {
            copy(block, 0, tensor, offset, (int) Math.min(BLOCK_BYTES, size - offset));
        }
        return tensor;
    }

    /** Makes a tensor [height, width] of whatever lies in its memory. */
    NDArray empty(NDManager manager, long height, long width) {
        long handle = LoraNative.empty(type.code(), new long[] {height, width});
        return new PtNDArray((PtNDManager) manager, handle);
    }

    /** Copies bytes into a tensor. */
    static void copy(byte[] source, int from, NDArray tensor, long offset, int length) {
        LoraNative.copyFromBytes(((PtNDArray) tensor).getHandle(), offset, source, from, length);
    }
}
