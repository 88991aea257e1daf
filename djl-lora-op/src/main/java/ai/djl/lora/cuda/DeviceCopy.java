/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * Bytes that are to be copied between the host and a device.
 *
 * @param host the bytes from its position to its limit, in a direct buffer; pinned ({@link
 *     PinnedArena}) if the copy is to go on beside other work
 * @param devicePointer the first byte's address on the device
 */
public record DeviceCopy(ByteBuffer host, long devicePointer) {

    /**
     * Constructs a new {@code DeviceCopy} instance.
     *
     * @param host the bytes from its position to its limit
     * @param devicePointer the first byte's address on the device, not 0
     */
    public DeviceCopy {
        Objects.requireNonNull(host, "host");
        if (!host.isDirect()) {
            throw new IllegalArgumentException(
                    "A copy takes a direct buffer, found one over an array");
        }
        if (devicePointer == 0) {
            throw new IllegalArgumentException("A copy takes an address on the device, found 0");
        }
    }

    /**
     * Returns how much is copied.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return host.remaining();
    }
}
