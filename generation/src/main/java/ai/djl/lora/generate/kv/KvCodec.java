/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

/**
 * Turns a block of keys and values into fewer bytes and back. It has buffers of its own: one thread
 * at a time may use it.
 */
public interface KvCodec {

    /** What {@link #encode} returns for a block that it cannot make smaller, or not hold. */
    int NOT_ENCODED = -1;

    /**
     * Returns the name by which users call this codec.
     *
     * @return the name, such as {@code int8}
     */
    String label();

    /**
     * Returns the most bytes that a block can take.
     *
     * @return the size in bytes
     */
    int mostBytes();

    /**
     * Returns how many bytes each element takes, those of all elements being the first that are
     * written; 0 where they cannot be told apart.
     *
     * @return the size in bytes, or 0
     */
    int elementBytes();

    /**
     * Encodes a block.
     *
     * @param block its elements as the pool holds them
     * @param target where to write, of {@link #mostBytes} bytes or more
     * @return the number of bytes written, or {@link #NOT_ENCODED} where the block holds what this
     *     codec cannot, such as a number that is not finite
     */
    int encode(byte[] block, byte[] target);

    /**
     * Decodes a block.
     *
     * @param encoded what {@link #encode} wrote
     * @param length the number of its bytes
     * @param block where the elements go as the pool holds them
     * @throws RuntimeException if the bytes are not what was written
     */
    void decode(byte[] encoded, int length, byte[] block);
}
