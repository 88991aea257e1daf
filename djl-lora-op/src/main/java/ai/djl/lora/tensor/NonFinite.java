/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.ShortBuffer;

/** Finds NaN and infinity, which spread from one weight to every answer. */
public final class NonFinite {

    private NonFinite() {}

    /**
     * Returns where the first NaN or infinite element lies.
     *
     * @param data the elements, little endian whatever the buffer's own order; left as it is
     * @param type the type of the elements
     * @return the element's index from the buffer's position on, or -1 where all are finite
     */
    public static int indexOf(ByteBuffer data, ElementType type) {
        ByteBuffer elements = data.slice().order(ByteOrder.LITTLE_ENDIAN);
        return switch (type) {
            case FLOAT32 -> indexOf(elements.asIntBuffer(), 0x7f800000);
            case FLOAT16 -> indexOf(elements.asShortBuffer(), 0x7c00);
            case BFLOAT16 -> indexOf(elements.asShortBuffer(), 0x7f80);
        };
    }

    private static int indexOf(IntBuffer elements, int exponent) {
        for (int i = 0; i < elements.limit(); i++) {
            if ((elements.get(i) & exponent) == exponent) {
                return i;
            }
        }
        return -1;
    }

    private static int indexOf(ShortBuffer elements, int exponent) {
        for (int i = 0; i < elements.limit(); i++) {
            if ((elements.get(i) & exponent) == exponent) {
                return i;
            }
        }
        return -1;
    }
}
