/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.lora.tensor.NonFinite;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Takes an adapter's tensors to the model's type, a few rows at a time: a table that an adapter
 * replaces is as large as the model's own.
 */
final class ModelTensors {

    /** How many elements are converted at a time, unless a single row has more. */
    private static final int CHUNK_ELEMENTS = 1 << 18;

    private final TensorOps ops;
    private final ElementType type;
    private final String adapter;

    /**
     * Constructs a new {@code ModelTensors} instance.
     *
     * @param context the model's context
     * @param adapter what messages call the adapter
     */
    ModelTensors(LoraContext context, String adapter) {
        this.ops = context.getOps();
        this.type = context.getType();
        this.adapter = adapter;
    }

    /**
     * Makes an array of a tensor.
     *
     * @param manager the manager to attach the array to
     * @param tensor the tensor, finite
     * @param part what messages call that which the tensor replaces
     * @return the array, of the model's type, in memory of its own
     * @throws LoraCompatibilityException if an element is infinite in the model's type
     */
    NDArray array(NDManager manager, HostTensor tensor, String part) {
        NDArray array = ops.zeros(manager, new Shape(tensor.shape()), type);
        int step = rowsAtATime(tensor);
        ByteBuffer staging = staging(tensor, step);
        for (int from = 0; from < rows(tensor); from += step) {
            int to = Math.min(rows(tensor), from + step);
            convert(tensor, from, to, staging);
            int index = NonFinite.indexOf(staging, type);
            if (index >= 0) {
                throw new LoraCompatibilityException(
                        adapter
                                + ": what replaces "
                                + part
                                + " holds "
                                + tensor.toFloats()[from * rowElements(tensor) + index]
                                + ", which "
                                + type
                                + " cannot hold");
            }
            Shape shape = shape(tensor, to - from);
            try (NDArray piece = ops.fromBuffer(manager, staging, type, type, shape)) {
                ops.copyRows(array, from, piece);
            }
        }
        return array;
    }

    /**
     * Returns whether a tensor is what the model has already.
     *
     * @param tensor the tensor
     * @param shape the shape of what the model has
     * @param manager the manager of what is needed meanwhile
     * @param base reads rows of it, of the model's type
     * @return whether every element is the same in the model's type
     */
    boolean isEqual(HostTensor tensor, Shape shape, NDManager manager, Rows base) {
        if (!new Shape(tensor.shape()).equals(shape)) {
            return false;
        }
        int step = rowsAtATime(tensor);
        ByteBuffer staging = staging(tensor, step);
        for (int from = 0; from < rows(tensor); from += step) {
            int to = Math.min(rows(tensor), from + step);
            convert(tensor, from, to, staging);
            try (NDManager scratch = manager.newSubManager()) {
                NDArray own = base.read(scratch, from, to);
                NDArray other =
                        ops.fromBuffer(scratch, staging, type, type, shape(tensor, to - from));
                if (!Arrays.equals(floats(own, scratch), floats(other, scratch))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Reads rows of what the model has. */
    @FunctionalInterface
    interface Rows {

        /**
         * Reads rows.
         *
         * @param manager the manager to attach them to
         * @param from the first row
         * @param to the row behind the last
         * @return the rows, not to be changed
         */
        NDArray read(NDManager manager, long from, long to);
    }

    private float[] floats(NDArray array, NDManager scratch) {
        NDArray wide = ops.toType(array, ElementType.FLOAT32);
        wide.attach(scratch);
        return wide.toFloatArray();
    }

    private static int rows(HostTensor tensor) {
        return Math.toIntExact(tensor.shape()[0]);
    }

    private static int rowElements(HostTensor tensor) {
        return tensor.elements() / Math.max(1, rows(tensor));
    }

    private static int rowsAtATime(HostTensor tensor) {
        return Math.max(1, CHUNK_ELEMENTS / Math.max(1, rowElements(tensor)));
    }

    private static Shape shape(HostTensor tensor, int rows) {
        return new Shape(rows).addAll(new Shape(tensor.shape()).slice(1));
    }

    /* A direct buffer outlives the arrays over it, so there is one small one. */
    private ByteBuffer staging(HostTensor tensor, int step) {
        int elements = Math.min(step, rows(tensor)) * rowElements(tensor);
        return ByteBuffer.allocateDirect(Math.multiplyExact(elements, type.bytes()))
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    private void convert(HostTensor tensor, int from, int to, ByteBuffer staging) {
        int row = rowElements(tensor) * tensor.type().bytes();
        ByteBuffer source = ByteBuffer.wrap(tensor.data(), from * row, (to - from) * row);
        staging.clear();
        ElementConverter.convert(source, tensor.type(), staging, type);
        staging.flip();
    }
}
