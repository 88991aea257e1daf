/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import java.util.Arrays;

/** Puts the bytes of elements in order of their significance, and back. */
public final class BytePlanes {

    private BytePlanes() {}

    /**
     * Splits elements into planes.
     *
     * @param block elements, and bytes behind them that stay as they are
     * @param bytes the size of the elements, a multiple of {@code width}
     * @param width the size of one element
     * @return the first bytes of all elements, then the second bytes of all, and so on
     */
    public static byte[] split(byte[] block, int bytes, int width) {
        byte[] planes = Arrays.copyOf(block, block.length);
        int count = bytes / width;
        for (int plane = 0; plane < width; ++plane) {
            int at = plane * count;
            for (int i = 0, from = plane; i < count; ++i, from += width) {
                planes[at + i] = block[from];
            }
        }
        return planes;
    }

    /**
     * Joins what {@link #split} returned.
     *
     * @param planes the planes, and bytes behind them
     * @param bytes the size of the elements
     * @param width the size of one element
     * @return the elements as they were
     */
    public static byte[] join(byte[] planes, int bytes, int width) {
        byte[] block = Arrays.copyOf(planes, planes.length);
        int count = bytes / width;
        for (int plane = 0; plane < width; ++plane) {
            int at = plane * count;
            for (int i = 0, to = plane; i < count; ++i, to += width) {
                block[to] = planes[at + i];
            }
        }
        return block;
    }
}
