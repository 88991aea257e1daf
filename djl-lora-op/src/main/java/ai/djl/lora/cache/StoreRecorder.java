/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

/**
 * Is told what happens in an {@link AdapterStore}, on the threads that do it and within their
 * locks: what takes long, or asks the store, belongs elsewhere. Every method does nothing unless it
 * is overridden. What one throws is logged and has no other effect.
 */
public interface StoreRecorder {

    /**
     * An adapter was brought to the device.
     *
     * @param adapter its name
     * @param revision its content hash
     * @param bytes what it takes there
     * @param nanos how long that took, since somebody asked for it or it was foreseen
     */
    default void loaded(String adapter, String revision, long bytes, long nanos) {}

    /**
     * An adapter has left a tier.
     *
     * @param adapter its name
     * @param device whether it has left the device; otherwise the host's memory
     * @param bytes what it took there
     * @param cause why
     */
    default void evicted(String adapter, boolean device, long bytes, EvictionCause cause) {}
}
