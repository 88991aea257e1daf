/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Tensor operations through libdjl_lora. Results lie where the arguments do: on the CPU, or on a
 * CUDA device, where they are in the order of libtorch's current stream.
 */
final class NativeTensorOps implements TensorOps {

    /** The number by which the native library knows 8-bit integers. */
    private static final int INT8 = 7;

    /** {@inheritDoc} */
    @Override
    public boolean supports(ElementType type) {
        return true;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray fromBuffer(
            NDManager manager,
            ByteBuffer data,
            ElementType stored,
            ElementType wanted,
            Shape shape) {
        TensorChecks.bufferHolds(data, stored, shape);
        ByteBuffer elements = data.slice().order(ByteOrder.LITTLE_ENDIAN);
        if (manager.getDevice().isGpu()) {
            return uploaded(manager, elements, stored, wanted, shape);
        }
        if (!TensorChecks.isAligned(elements, stored.bytes())) {
            // rare: a file whose header does not end on an element's boundary
            PtNDArray copy = wrap(manager, LoraNative.empty(stored.code(), shape.getShape()));
            LoraNative.copyFromBuffer(copy.getHandle(), 0, elements, 0, elements.remaining());
            return converted(copy, stored, wanted);
        }
        long handle = LoraNative.fromBuffer(elements, 0, stored.code(), shape.getShape());
        return converted(new PtNDArray((PtNDManager) manager, handle, elements), stored, wanted);
    }

    /* Read by libtorch's own copy, which takes the buffer as it is and returns when it is done. */
    private NDArray uploaded(
            NDManager manager,
            ByteBuffer elements,
            ElementType stored,
            ElementType wanted,
            Shape shape) {
        int device = device(manager);
        NDArray array = wrap(manager, LoraNative.empty(stored.code(), shape.getShape(), device));
        LoraNative.copyFromBuffer(handle(array), 0, elements, 0, elements.remaining());
        return converted(array, stored, wanted);
    }

    private NDArray converted(NDArray array, ElementType stored, ElementType wanted) {
        if (stored == wanted) {
            return array;
        }
        try (array) {
            return toType(array, wanted);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDArray zeros(NDManager manager, Shape shape, ElementType type) {
        return wrap(manager, LoraNative.zeros(type.code(), shape.getShape(), device(manager)));
    }

    /** {@inheritDoc} */
    @Override
    public ElementType typeOf(NDArray array) {
        int code = LoraNative.elementType(handle(array));
        for (ElementType type : ElementType.values()) {
            if (type.code() == code) {
                return type;
            }
        }
        throw new LoraBackendException(
                "The array's element type (code "
                        + code
                        + ") is not a floating-point type of ours");
    }

    /** {@inheritDoc} */
    @Override
    public NDArray toType(NDArray array, ElementType type) {
        return wrap(array.getManager(), LoraNative.toType(handle(array), type.code()));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray embedding(NDArray weight, NDArray ids) {
        return wrap(ids.getManager(), LoraNative.embedding(handle(weight), handle(ids)));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray linear(NDArray x, NDArray weight) {
        return wrap(x.getManager(), LoraNative.linear(handle(x), handle(weight), 0));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray[] linearAll(NDArray x, NDArray... weights) {
        long[] handles = new long[weights.length];
        for (int i = 0; i < handles.length; ++i) {
            handles[i] = handle(weights[i]);
        }
        long[] products = LoraNative.linearGroup(handle(x), handles);
        NDArray[] results = new NDArray[products.length];
        for (int i = 0; i < products.length; ++i) {
            results[i] = wrap(x.getManager(), products[i]);
        }
        return results;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray rmsNorm(NDArray x, NDArray weight, double epsilon) {
        return wrap(x.getManager(), LoraNative.rmsNorm(handle(x), 0, handle(weight), epsilon));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray addRmsNorm(NDArray x, NDArray delta, NDArray weight, double epsilon) {
        return wrap(
                x.getManager(),
                LoraNative.rmsNorm(handle(x), handle(delta), handle(weight), epsilon));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray siluMul(NDArray gate, NDArray up) {
        return wrap(gate.getManager(), LoraNative.siluMul(handle(gate), handle(up)));
    }

    /** {@inheritDoc} */
    @Override
    public void rotateAndWrite(
            NDArray q,
            NDArray k,
            NDArray v,
            NDArray cos,
            NDArray sin,
            KvPages pages,
            PagedBatch batch) {
        LoraNative.kvWrite(
                handle(q),
                handle(k),
                handle(v),
                handle(cos),
                handle(sin),
                handle(pages.keys()),
                handle(pages.values()),
                handle(batch.places()));
    }

    /** {@inheritDoc} */
    @Override
    public void write(NDArray k, NDArray v, KvPages pages, PagedBatch batch) {
        LoraNative.kvWrite(
                0,
                handle(k),
                handle(v),
                0,
                0,
                handle(pages.keys()),
                handle(pages.values()),
                handle(batch.places()));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray pagedAttention(
            NDArray q, KvPages pages, PagedBatch batch, int window, double scale) {
        return wrap(
                q.getManager(),
                LoraNative.pagedAttention(
                        handle(q),
                        handle(pages.keys()),
                        handle(pages.values()),
                        handle(batch.rowStarts()),
                        handle(batch.lengths()),
                        handle(batch.pageStarts()),
                        handle(batch.pageTable()),
                        window,
                        scale));
    }

    /** {@inheritDoc} */
    @Override
    public int[] argmaxRows(NDArray x) {
        int[] indices = new int[Math.toIntExact(x.getShape().get(0))];
        LoraNative.argmaxRows(handle(x), indices);
        return indices;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray empty(NDManager manager, Shape shape, ElementType type) {
        return wrap(manager, LoraNative.empty(type.code(), shape.getShape(), device(manager)));
    }

    /** {@inheritDoc} */
    @Override
    public KvPages int8Pages(NDManager manager, long pages, long heads, long dim, long positions) {
        if (manager.getDevice().isGpu()) {
            throw new LoraBackendException(
                    "Keys and values in 8 bits are attended to on the CPU alone; the model is on "
                            + manager.getDevice());
        }
        long stored = dim + KvPages.SCALE_BYTES;
        return new KvPages(
                wrap(manager, LoraNative.empty(INT8, new long[] {pages, heads, stored, positions})),
                wrap(
                        manager,
                        LoraNative.empty(INT8, new long[] {pages, heads, positions, stored})));
    }

    /** {@inheritDoc} */
    @Override
    public void copyRows(NDArray target, long targetRow, NDArray source) {
        LoraNative.copyRows(handle(target), targetRow, handle(source));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray rows(NDArray array, long from, long to) {
        TensorChecks.rowRange(array, from, to);
        return wrap(array.getManager(), LoraNative.narrowRows(handle(array), from, to));
    }

    /** {@inheritDoc} */
    @Override
    public int readRow(NDArray array, long row, byte[] target, int offset) {
        int bytes = rowBytes(array, row);
        LoraNative.copyToBytes(handle(array), row * bytes, target, offset, bytes);
        return offset + bytes;
    }

    /** {@inheritDoc} */
    @Override
    public int writeRow(NDArray array, long row, byte[] source, int offset) {
        int bytes = rowBytes(array, row);
        LoraNative.copyFromBytes(handle(array), row * bytes, source, offset, bytes);
        return offset + bytes;
    }

    private int rowBytes(NDArray array, long row) {
        TensorChecks.rowRange(array, row, row + 1);
        boolean int8 = LoraNative.elementType(handle(array)) == INT8;
        int width = int8 ? 1 : typeOf(array).bytes();
        return Math.toIntExact(array.getShape().slice(1).size() * width);
    }

    static long handle(NDArray array) {
        if (array instanceof PtNDArray pt) {
            return pt.getHandle();
        }
        throw new LoraBackendException(
                "The native library takes arrays of the PyTorch engine; found "
                        + array.getClass().getName());
    }

    /** Returns where a manager's arrays lie, as the native library counts devices. */
    static int device(NDManager manager) {
        Device device = manager.getDevice();
        return device.isGpu() ? device.getDeviceId() : LoraNative.CPU;
    }

    static PtNDArray wrap(NDManager manager, long handle) {
        return new PtNDArray((PtNDManager) manager, handle);
    }
}
