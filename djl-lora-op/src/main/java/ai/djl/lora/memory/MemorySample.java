/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.time.Instant;
import java.util.Collections;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * What a {@link MemoryMonitor} measured at one moment. Sizes are in bytes.
 *
 * @param time when
 * @param memory how much of the limited memory is in use
 * @param heap how much of the Java heap is in use, garbage included
 * @param residentSet how much of the process lies in the host's memory, mapped files included;
 *     empty where the system does not tell
 * @param consumers what each registered consumer says that it takes, by name
 * @param activationReserve what the next step may need for activations
 */
public record MemorySample(
        Instant time,
        MemoryReading memory,
        long heap,
        OptionalLong residentSet,
        Map<String, Long> consumers,
        long activationReserve) {

    /**
     * Constructs a new {@code MemorySample} instance.
     *
     * @param time when
     * @param memory how much of the limited memory is in use
     * @param heap how much of the Java heap is in use
     * @param residentSet how much of the process lies in the host's memory
     * @param consumers what each registered consumer says that it takes; copied
     * @param activationReserve what the next step may need for activations
     */
    public MemorySample {
        consumers = Collections.unmodifiableMap(new TreeMap<>(consumers));
    }
}
