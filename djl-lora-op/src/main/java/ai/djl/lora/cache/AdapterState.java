/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * Where an adapter is and how it is used.
 *
 * @param place the tier nearest to the operator in which it is
 * @param since for how long it has been on the device, or off it
 * @param revision its content hash
 * @param bytes what it takes on the device, or would take
 * @param leases how many leases are open
 * @param hits how often it was on the device when it was asked for
 * @param misses how often it had to be loaded
 * @param frequency how often it was asked for of late; see {@link
 *     ai.djl.lora.registry.AdapterAccess#frequency()}
 * @param lastUsed when it was asked for last
 * @param pinned whether it stays on the device
 * @param compressed whether its copy in the host's memory is compressed
 * @param failure why its last load failed
 */
public record AdapterState(
        Place place,
        Duration since,
        String revision,
        long bytes,
        int leases,
        long hits,
        long misses,
        double frequency,
        Optional<Instant> lastUsed,
        boolean pinned,
        boolean compressed,
        Optional<String> failure) {

    /** A place where an adapter can be. */
    public enum Place {
        /** Ready for the operator. */
        DEVICE,
        /** In the host's memory. */
        HOST,
        /** In its files alone. */
        DISK,
        /** On its way to the device. */
        LOADING,
        /** In its files, which could not be loaded the last time. */
        FAILED
    }
}
