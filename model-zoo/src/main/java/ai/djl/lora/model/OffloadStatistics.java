/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

/**
 * Which decoder layers' weights lie in the host's memory instead of the GPU's.
 *
 * @param layers how many layers the model has
 * @param offloaded how many of them, the last ones, lie in the host's memory
 * @param hostBytes what they take there, in bytes
 * @param pinned whether that memory is pinned, so that copies run beside steps; true while there is
 *     none
 * @param streamedBytes how many bytes were brought to the GPU for steps since the model was loaded
 */
public record OffloadStatistics(
        int layers, int offloaded, long hostBytes, boolean pinned, long streamedBytes) {}
