/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

/**
 * A tensor in a file of PyTorch's: a view of a storage.
 *
 * <p>It was checked that each of its elements lies in the storage and that none is there twice.
 *
 * @param storage the storage
 * @param offset its first element in the storage
 * @param shape its dimensions
 * @param strides how many elements of the storage the next one of each dimension is away
 * @param count how many elements it has
 */
record TorchTensor(TorchStorage storage, long offset, long[] shape, long[] strides, long count) {

    /** Returns whether the elements lie behind one another in the order of the dimensions. */
    boolean isContiguous() {
        long expected = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            if (shape[i] != 1 && strides[i] != expected) {
                return count == 0;
            }
            expected *= shape[i];
        }
        return true;
    }

    /** Returns how many elements of the storage lie from the first to the last of this tensor. */
    long span() {
        if (count == 0) {
            return 0;
        }
        long last = 0;
        for (int i = 0; i < shape.length; i++) {
            last += (shape[i] - 1) * strides[i];
        }
        return last + 1;
    }

    /**
     * Puts the elements behind one another.
     *
     * @param region the bytes of the storage from the first to the last element
     * @param target where the elements go
     */
    void gather(byte[] region, byte[] target) {
        int width = storage.type().bytes();
        long[] index = new long[shape.length];
        long from = 0;
        for (int to = 0; to < target.length; to += width) {
            System.arraycopy(region, Math.toIntExact(from * width), target, to, width);
            for (int i = shape.length - 1; i >= 0; i--) {
                from += strides[i];
                if (++index[i] < shape[i]) {
                    break;
                }
                from -= shape[i] * strides[i];
                index[i] = 0;
            }
        }
    }
}
