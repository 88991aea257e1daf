/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** The backends that can be used here with their types, and arrays for them. */
public final class Backends {

    private Backends() {}

    /** Returns {backend, type} for each pair that can be used here. */
    public static Object[][] withTypes() {
        List<Object[]> cases = new ArrayList<>();
        for (BackendStatus status : LoraBackends.list()) {
            if (status.available()) {
                LoraBackend backend = LoraBackends.choose(status.name());
                for (ElementType type : ElementType.values()) {
                    if (backend.supports(type)) {
                        cases.add(new Object[] {backend, type});
                    }
                }
            }
        }
        return cases.toArray(new Object[0][]);
    }

    /** Returns normally distributed values, rounded to bfloat16 so that every type holds them. */
    public static float[] randomValues(Random random, long count, double deviation) {
        float[] values = new float[Math.toIntExact(count)];
        for (int i = 0; i < values.length; ++i) {
            float value = (float) (random.nextGaussian() * deviation);
            values[i] = Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000);
        }
        return values;
    }

    public static NDArray array(
            NDManager manager, TensorOps ops, ElementType type, float[] values, long... shape) {
        ByteBuffer data =
                ByteBuffer.allocateDirect(values.length * Float.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            data.putFloat(value);
        }
        data.flip();
        return ops.fromBuffer(manager, data, ElementType.FLOAT32, type, new Shape(shape));
    }

    public static float[] values(TensorOps ops, NDArray array) {
        return ops.toType(array, ElementType.FLOAT32).toFloatArray();
    }
}
