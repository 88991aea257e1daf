/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.Locale;

/**
 * Whether the host tier's memory is pinned: kept where it is by the system, so that a GPU copies
 * from it on its own. Pinned memory is taken whole, with the first copy that lies in it.
 */
public enum HostPinning {
    /**
     * Where the model lies on a GPU and the tier's bytes are given; memory that cannot be pinned is
     * used as it is.
     */
    AUTO,
    /** Always; memory that cannot be pinned is refused. */
    TRUE,
    /** Never. */
    FALSE;

    /**
     * Returns how files name it.
     *
     * @return the name in lower case
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Finds a value by the name that files have.
     *
     * @param label the name in lower case
     * @return the value
     * @throws IllegalArgumentException if there is none of that name
     */
    public static HostPinning ofLabel(String label) {
        return valueOf(label.toUpperCase(Locale.ROOT));
    }
}
