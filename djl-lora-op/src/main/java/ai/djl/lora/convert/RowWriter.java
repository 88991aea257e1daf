/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.json.Message;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.NonFinite;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Takes a tensor's bytes in pieces, changes its rows and writes them in another type. */
final class RowWriter {

    private final MergedTensor tensor;
    private final SafetensorsOutput output;
    private final ElementType from;
    private final ElementType to;
    private final ByteBuffer stored;
    private final ByteBuffer wide;
    private final ByteBuffer narrow;
    private final float[] values;
    private int row;

    /**
     * Constructs a new {@code RowWriter} instance.
     *
     * @param tensor the tensor; one of one dimension is a single row
     * @param from the type of the bytes that are taken
     * @param output where to write
     */
    RowWriter(MergedTensor tensor, ElementType from, SafetensorsOutput output) {
        this.tensor = tensor;
        this.output = output;
        this.from = from;
        to = tensor.type().elementType().orElseThrow();
        long[] shape = tensor.shape();
        int columns = shape.length == 0 ? 1 : Math.toIntExact(shape[shape.length - 1]);
        values = new float[columns];
        stored = ByteBuffer.allocate(Math.multiplyExact(columns, from.bytes()));
        wide = buffer(Math.multiplyExact(columns, Float.BYTES));
        narrow = buffer(Math.multiplyExact(columns, to.bytes()));
    }

    /** Takes the next bytes. */
    void accept(ByteBuffer chunk) {
        while (chunk.hasRemaining()) {
            int count = Math.min(chunk.remaining(), stored.remaining());
            stored.put(chunk.slice().limit(count));
            chunk.position(chunk.position() + count);
            if (!stored.hasRemaining()) {
                writeRow();
                stored.clear();
            }
        }
    }

    private void writeRow() {
        ElementConverter.convert(stored.flip(), from, wide.clear(), ElementType.FLOAT32);
        wide.flip().asFloatBuffer().get(values);
        tensor.edit().apply(row, values);
        wide.asFloatBuffer().put(values);
        ElementConverter.convert(wide, ElementType.FLOAT32, narrow.clear(), to);
        int index = NonFinite.indexOf(narrow.flip(), to);
        if (index >= 0) {
            throw new LoraCompatibilityException(
                    "Tensor "
                            + Message.quote(tensor.name())
                            + " would hold "
                            + values[index]
                            + ", which "
                            + to
                            + " cannot hold");
        }
        try {
            output.write(narrow);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        ++row;
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
