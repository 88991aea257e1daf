/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * Whether something fits into a memory before it is loaded. Sizes are in bytes.
 *
 * @param bytes what it takes
 * @param used what is in use
 * @param activationReserve what is kept back for activations of the next step, beyond those that
 *     are in use already
 * @param ceiling the use from which on pressure is critical
 */
public record MemoryEstimate(long bytes, long used, long activationReserve, long ceiling) {

    /**
     * Returns what can be loaded.
     *
     * @return the size in bytes; negative where there is too much already
     */
    public long available() {
        return ceiling - used - activationReserve;
    }

    /**
     * Returns whether it fits.
     *
     * @return whether pressure stays below critical with it and with the next step's activations
     */
    public boolean fits() {
        return bytes <= available();
    }
}
