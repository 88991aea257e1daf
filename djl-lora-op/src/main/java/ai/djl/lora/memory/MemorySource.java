/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.io.IOException;

/** A memory whose use can be read: the host's or a device's. */
@FunctionalInterface
public interface MemorySource {

    /**
     * Reads the memory's use.
     *
     * @return the use at this moment
     * @throws IOException if it cannot be read
     */
    MemoryReading read() throws IOException;
}
