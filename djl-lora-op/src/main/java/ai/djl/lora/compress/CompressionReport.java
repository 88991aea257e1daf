/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

/**
 * What a codec saved on one adapter, and what it lost; both are measured, by decoding.
 *
 * @param codec the label of the codec that was used; {@code none} where the one that was asked for
 *     would have saved nothing
 * @param plainBytes the size before, in bytes
 * @param encodedBytes the size after, in bytes
 * @param maxError the largest absolute difference of an element of A, B or a vector
 * @param relativeRms the root of the squared differences' sum over that of the squared elements
 */
public record CompressionReport(
        String codec, long plainBytes, long encodedBytes, double maxError, double relativeRms) {

    /**
     * Returns how many times smaller the adapter has become.
     *
     * @return the size before over the size after
     */
    public double ratio() {
        return (double) plainBytes / encodedBytes;
    }
}
