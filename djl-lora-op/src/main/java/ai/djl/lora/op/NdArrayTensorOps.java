/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Tensor operations as plain NDArray operations, in float32.
 *
 * <p>They need nothing but DJL, and they are the truth that the other backends are checked against.
 * Intermediate arrays are left to the manager of the first array.
 */
final class NdArrayTensorOps implements TensorOps {

    private static final int STAGING_BYTES = 1 << 20;
    // finite, so that a masked score times zero is never NaN; exp of it is zero in float32
    private static final float MASKED = -1e30f;

    /*
     * Elements go to the engine through one small buffer. A direct buffer for each array would hold
     * its memory until the garbage collector finds it, long after the array is closed.
     */
    private final ByteBuffer staging =
            ByteBuffer.allocateDirect(STAGING_BYTES).order(ByteOrder.nativeOrder());

    /** {@inheritDoc} */
    @Override
    public boolean supports(ElementType type) {
        return type == ElementType.FLOAT32;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray fromBuffer(
            NDManager manager,
            ByteBuffer data,
            ElementType stored,
            ElementType wanted,
            Shape shape) {
        requireFloat32(wanted);
        TensorChecks.bufferHolds(data, stored, shape);
        ByteBuffer elements = data.slice().order(ByteOrder.LITTLE_ENDIAN);
        if (stored == ElementType.FLOAT32 && TensorChecks.isAligned(elements, Float.BYTES)) {
            return manager.create(elements, shape, DataType.FLOAT32);
        }
        return upload(manager, elements, stored, shape);
    }

    /**
     * Copies elements into an array whose memory the engine owns.
     *
     * @param manager the manager to attach the array to
     * @param elements the elements, little-endian, from the buffer's position
     * @param stored their type
     * @param shape the shape
     * @return the array, float32
     */
    NDArray upload(NDManager manager, ByteBuffer elements, ElementType stored, Shape shape) {
        NDArray array = manager.create(shape, DataType.FLOAT32);
        long size = shape.size();
        synchronized (staging) {
            try (NDArray flat = array.reshape(size)) {
                for (long from = 0; from < size; from += STAGING_BYTES / Float.BYTES) {
                    int count = (int) Math.min(STAGING_BYTES / Float.BYTES, size - from);
                    staging.clear();
                    for (int i = 0; i < count; ++i) {
                        staging.putFloat(next(elements, stored));
                    }
                    staging.flip();
                    try (NDArray part =
                            manager.create(staging, new Shape(count), DataType.FLOAT32)) {
                        flat.set(new NDIndex().addSliceDim(from, from + count), part);
                    }
                }
            }
        }
        return array;
    }

    private static float next(ByteBuffer elements, ElementType type) {
        return switch (type) {
            case FLOAT32 -> elements.getFloat();
            case FLOAT16 -> HalfPrecision.fromFloat16(elements.getShort());
            case BFLOAT16 -> HalfPrecision.fromBfloat16(elements.getShort());
        };
    }

    /** {@inheritDoc} */
    @Override
    public NDArray zeros(NDManager manager, Shape shape, ElementType type) {
        requireFloat32(type);
        return manager.zeros(shape, DataType.FLOAT32);
    }

    /** {@inheritDoc} */
    @Override
    public ElementType typeOf(NDArray array) {
        if (array.getDataType() != DataType.FLOAT32) {
            throw new LoraBackendException(
                    "Backend pytorch computes in float32; the array is " + array.getDataType());
        }
        return ElementType.FLOAT32;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray toType(NDArray array, ElementType type) {
        requireFloat32(type);
        // DJL's toType gives the array's own memory back where the type is the same
        return array.getDataType() == DataType.FLOAT32
                ? array.duplicate()
                : array.toType(DataType.FLOAT32, true);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray embedding(NDArray weight, NDArray ids) {
        return Embedding.embedding(ids, weight, SparseFormat.DENSE).singletonOrThrow();
    }

    /** {@inheritDoc} */
    @Override
    public NDArray linear(NDArray x, NDArray weight) {
        return Linear.linear(x, weight).singletonOrThrow();
    }

    /** {@inheritDoc} */
    @Override
    public NDArray[] linearAll(NDArray x, NDArray... weights) {
        return Arrays.stream(weights).map(weight -> linear(x, weight)).toArray(NDArray[]::new);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray rmsNorm(NDArray x, NDArray weight, double epsilon) {
        NDArray meanSquare = x.square().mean(new int[] {-1}, true);
        return x.div(meanSquare.add(epsilon).sqrt()).mul(weight);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray addRmsNorm(NDArray x, NDArray delta, NDArray weight, double epsilon) {
        return rmsNorm(x.addi(delta), weight, epsilon);
    }

    private static NDArray rotated(NDArray x, NDArray cos, NDArray sin) {
        long half = cos.getShape().get(1);
        NDArray first = x.get(new NDIndex().addAllDim(2).addSliceDim(0, half));
        NDArray second = x.get(new NDIndex().addAllDim(2).addSliceDim(half, 2 * half));
        NDArray c = cos.expandDims(1);
        NDArray s = sin.expandDims(1);
        return NDArrays.concat(
                new NDList(first.mul(c).sub(second.mul(s)), second.mul(c).add(first.mul(s))), 2);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray siluMul(NDArray gate, NDArray up) {
        return gate.mul(gate.getNDArrayInternal().sigmoid()).mul(up);
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
        rotated(q, cos, sin).copyTo(q);
        write(rotated(k, cos, sin), v, pages, batch);
    }

    /** {@inheritDoc} */
    @Override
    public void write(NDArray k, NDArray v, KvPages pages, PagedBatch batch) {
        NDManager manager = batch.places().getManager();
        long positions = pages.values().getShape().get(2);
        for (int row = 0; row < k.getShape().get(0); ++row) {
            long page = batch.place(row) / positions;
            long position = batch.place(row) % positions;
            part(pages.keys(), page, manager)
                    .set(new NDIndex().addAllDim(2).addIndices(position), part(k, row, manager));
            part(pages.values(), page, manager)
                    .set(new NDIndex().addAllDim(1).addIndices(position), part(v, row, manager));
        }
    }

    /* What is made of an array belongs to that array's manager, and pages outlive steps. */
    private static NDArray part(NDArray array, long index, NDManager manager) {
        NDArray view = array.get(index);
        view.attach(manager);
        return view;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray pagedAttention(
            NDArray q, KvPages pages, PagedBatch batch, int window, double scale) {
        NDList attended = new NDList();
        for (int i = 0; i < batch.sequences(); ++i) {
            if (batch.rowStart(i) < batch.rowStart(i + 1)) {
                NDArray rows = rows(q, batch.rowStart(i), batch.rowStart(i + 1));
                attended.add(attention(rows, pages, batch, i, window, scale));
            }
        }
        return NDArrays.concat(attended);
    }

    private static NDArray attention(
            NDArray q, KvPages pages, PagedBatch batch, int sequence, int window, double scale) {
        NDManager manager = q.getManager();
        NDArray table = manager.create(batch.pages(sequence));
        NDArray k = pages.keys().get(table);
        NDArray v = pages.values().get(table);
        k.attach(manager);
        v.attach(manager);
        k = k.transpose(0, 3, 1, 2);
        v = v.transpose(0, 2, 1, 3);
        long groups = k.getShape().get(2);
        long queries = q.getShape().get(0);
        long heads = q.getShape().get(1);
        long dim = q.getShape().get(2);
        long keys = batch.length(sequence);
        NDIndex written = new NDIndex().addSliceDim(0, keys);
        k = k.reshape(-1, groups, dim).get(written);
        v = v.reshape(-1, groups, dim).get(written);
        // the heads of a group are neighbours, so that one product serves them all
        NDArray grouped = q.transpose(1, 0, 2).reshape(groups, heads / groups * queries, dim);
        NDArray scores = grouped.matMul(k.transpose(1, 2, 0)).mul(scale);
        scores =
                scores.reshape(heads, queries, keys)
                        .add(penalty(manager, (int) queries, (int) keys, window))
                        .reshape(groups, heads / groups * queries, keys);
        NDArray attended = scores.softmax(-1).matMul(v.transpose(1, 0, 2));
        return attended.reshape(heads, queries, dim)
                .transpose(1, 0, 2)
                .reshape(queries, heads, dim);
    }

    private static NDArray penalty(NDManager manager, int queries, int keys, int window) {
        float[] penalty = new float[queries * keys];
        for (int i = 0; i < queries; ++i) {
            int own = keys - queries + i;
            for (int key = 0; key < keys; ++key) {
                if (key > own || window > 0 && key <= own - window) {
                    penalty[i * keys + key] = MASKED;
                }
            }
        }
        return manager.create(penalty, new Shape(queries, keys));
    }

    /** {@inheritDoc} */
    @Override
    public int[] argmaxRows(NDArray x) {
        int columns = Math.toIntExact(x.getShape().get(1));
        float[] values = x.toFloatArray();
        int[] indices = new int[values.length / columns];
        for (int row = 0; row < indices.length; ++row) {
            indices[row] = argmax(values, row * columns, columns);
        }
        return indices;
    }

    private static int argmax(float[] values, int from, int count) {
        int best = 0;
        for (int i = 0; i < count; ++i) {
            float value = values[from + i];
            if (Float.isNaN(value) || value == Float.POSITIVE_INFINITY) {
                return -1;
            }
            if (value > values[from + best]) {
                best = i;
            }
        }
        return values[from + best] == Float.NEGATIVE_INFINITY ? -2 : best;
    }

    /** {@inheritDoc} */
    @Override
    public NDArray empty(NDManager manager, Shape shape, ElementType type) {
        requireFloat32(type);
        return manager.create(shape, DataType.FLOAT32);
    }

    /** {@inheritDoc} */
    @Override
    public KvPages int8Pages(NDManager manager, long pages, long heads, long dim, long positions) {
        throw new LoraBackendException(
                "Backend pytorch keeps keys and values in float32 only; int8 was asked for");
    }

    /** {@inheritDoc} */
    @Override
    public void copyRows(NDArray target, long targetRow, NDArray source) {
        long rows = source.getShape().get(0);
        TensorChecks.rowRange(target, targetRow, targetRow + rows);
        target.set(new NDIndex().addSliceDim(targetRow, targetRow + rows), source);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray rows(NDArray array, long from, long to) {
        TensorChecks.rowRange(array, from, to);
        return array.get(new NDIndex().addSliceDim(from, to));
    }

    /** {@inheritDoc} */
    @Override
    public int readRow(NDArray array, long row, byte[] target, int offset) {
        TensorChecks.rowRange(array, row, row + 1);
        try (NDArray view = array.get(row)) {
            float[] values = view.toFloatArray();
            floats(target, offset, values.length).put(values);
            return offset + values.length * Float.BYTES;
        }
    }

    /** {@inheritDoc} */
    @Override
    public int writeRow(NDArray array, long row, byte[] source, int offset) {
        TensorChecks.rowRange(array, row, row + 1);
        Shape shape = new Shape(1).addAll(array.getShape().slice(1));
        float[] values = new float[Math.toIntExact(shape.size())];
        floats(source, offset, values.length).get(values);
        try (NDArray elements = array.getManager().create(values, shape)) {
            copyRows(array, row, elements);
        }
        return offset + values.length * Float.BYTES;
    }

    private static FloatBuffer floats(byte[] bytes, int offset, int count) {
        return ByteBuffer.wrap(bytes, offset, count * Float.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
    }

    private static void requireFloat32(ElementType type) {
        if (type != ElementType.FLOAT32) {
            throw new LoraBackendException(
                    "Backend pytorch computes in float32 only; " + type + " was asked for");
        }
    }
}
