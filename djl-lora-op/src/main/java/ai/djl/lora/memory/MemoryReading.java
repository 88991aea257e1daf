/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * How much of a limited memory is in use. Sizes are in bytes.
 *
 * @param used what is in use and stays so until somebody frees it
 * @param reclaimable what is in use beside that, and is dropped by the system when it needs room
 * @param limit what may be in use
 * @param source where the numbers come from, for messages
 */
public record MemoryReading(long used, long reclaimable, long limit, String source) {

    /**
     * Returns the share of the limit that is in use.
     *
     * @return used over limit; more than 1 where the limit was lowered
     */
    public double ratio() {
        return (double) used / limit;
    }
}
