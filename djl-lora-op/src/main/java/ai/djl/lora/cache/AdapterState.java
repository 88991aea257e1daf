/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.Optional;

/**
 * Where an adapter is and how it is used.
 *
 * @param place the tier nearest to the operator in which it is
 * @param revision its content hash
 * @param bytes what it takes on the device, or would take
 * @param leases how many leases are open
 * @param uses how often it was asked for
 * @param failure why its last load failed
 */
public record AdapterState(
        Place place, String revision, long bytes, int leases, long uses, Optional<String> failure) {

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
