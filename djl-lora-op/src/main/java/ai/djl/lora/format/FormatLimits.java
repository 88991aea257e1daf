/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.file.Path;
import java.util.Collection;

/**
 * How much an adapter may ask for. What a file says of its sizes is held against these limits
 * before its data is read and before memory is taken for it.
 *
 * @param maxBytes the bytes of all tensors together
 * @param maxTensors the number of tensors
 * @param maxHeaderBytes the bytes of what describes the tensors: a safetensors header or index, a
 *     pickle, a GGUF file's metadata
 * @param maxExtractedBytes the bytes of all files of an archive together
 * @param maxEntries the number of an archive's entries
 * @param maxExpansion how many times as large as its file an archive's content or the tensors of a
 *     pickle may be
 */
public record FormatLimits(
        long maxBytes,
        long maxTensors,
        int maxHeaderBytes,
        long maxExtractedBytes,
        int maxEntries,
        int maxExpansion) {

    /**
     * What is far more than published adapters take: 8 GiB in 1,048,576 tensors, described in 64
     * MiB; archives of 16 GiB in 10,000 entries that compress to a hundredth.
     */
    public static final FormatLimits DEFAULTS =
            new FormatLimits(8L << 30, 1 << 20, 64 << 20, 16L << 30, 10_000, 100);

    /** Small files may grow to this size, however small they are: text compresses well. */
    private static final long ALWAYS_ALLOWED = 1 << 20;

    /**
     * Constructs a new {@code FormatLimits} instance.
     *
     * @param maxBytes the bytes of all tensors together
     * @param maxTensors the number of tensors
     * @param maxHeaderBytes the bytes of what describes the tensors
     * @param maxExtractedBytes the bytes of all files of an archive together
     * @param maxEntries the number of an archive's entries
     * @param maxExpansion how many times as large as its file something may become
     * @throws IllegalArgumentException if a limit is not positive
     */
    public FormatLimits {
        checkPositive("maxBytes", maxBytes);
        checkPositive("maxTensors", maxTensors);
        checkPositive("maxHeaderBytes", maxHeaderBytes);
        checkPositive("maxExtractedBytes", maxExtractedBytes);
        checkPositive("maxEntries", maxEntries);
        checkPositive("maxExpansion", maxExpansion);
    }

    /**
     * Returns how large what a file expands to may be.
     *
     * @param fileSize the file's size in bytes
     * @return the bytes
     */
    long expanded(long fileSize) {
        if (fileSize > Long.MAX_VALUE / maxExpansion) {
            return Long.MAX_VALUE;
        }
        return Math.max(ALWAYS_ALLOWED, fileSize * maxExpansion);
    }

    /** Refuses more tensors than are allowed. */
    void checkCount(String file, long count) {
        if (count > maxTensors) {
            throw new LoraConfigurationException(
                    file
                            + ": the file has "
                            + Long.toUnsignedString(count)
                            + " tensors, allowed are "
                            + maxTensors);
        }
    }

    /** Refuses more tensors, or more bytes in them, than are allowed. */
    void check(Path path, Collection<TensorInfo> tensors) {
        String file = Message.oneLine(path.toString());
        checkCount(file, tensors.size());
        long total = 0;
        for (TensorInfo tensor : tensors) {
            // sizes are not negative, and one that is too large ends this before a sum overflows
            total += Math.min(tensor.size(), Long.MAX_VALUE / 2);
            if (total > maxBytes) {
                throw new LoraConfigurationException(
                        file
                                + ": with tensor "
                                + Message.quote(tensor.name())
                                + " the tensors have "
                                + total
                                + " bytes, allowed are "
                                + maxBytes);
            }
        }
    }

    private static void checkPositive(String name, long value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive, found " + value);
        }
    }
}
