/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The elements of a block as floats, in arrays that are used again. */
final class BlockFloats {

    private final ElementType type;
    private final float[] values;
    private final short[] halves;

    BlockFloats(KvBlockShape shape) {
        type = shape.type();
        values = new float[shape.elements()];
        halves = new short[type == ElementType.FLOAT32 ? 0 : values.length];
    }

    /** Returns the array that {@link #read} fills and {@link #write} takes. */
    float[] values() {
        return values;
    }

    /** Widens a block into the array. */
    float[] read(byte[] block) {
        ByteBuffer bytes = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
        if (type == ElementType.FLOAT32) {
            bytes.asFloatBuffer().get(values);
            return values;
        }
        bytes.asShortBuffer().get(halves);
        if (type == ElementType.BFLOAT16) {
            for (int i = 0; i < values.length; ++i) {
                values[i] = HalfPrecision.fromBfloat16(halves[i]);
            }
        } else {
            for (int i = 0; i < values.length; ++i) {
                values[i] = HalfPrecision.fromFloat16(halves[i]);
            }
        }
        return values;
    }

    /** Rounds the array to a block. */
    void write(byte[] block) {
        ByteBuffer bytes = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
        if (type == ElementType.FLOAT32) {
            bytes.asFloatBuffer().put(values);
            return;
        }
        if (type == ElementType.BFLOAT16) {
            for (int i = 0; i < values.length; ++i) {
                halves[i] = HalfPrecision.toBfloat16(values[i]);
            }
        } else {
            for (int i = 0; i < values.length; ++i) {
                halves[i] = HalfPrecision.toFloat16(values[i]);
            }
        }
        bytes.asShortBuffer().put(halves);
    }
}
