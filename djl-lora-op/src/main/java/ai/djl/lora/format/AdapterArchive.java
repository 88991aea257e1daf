/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Unpacks archives of adapters for good, as opening one does for a time. */
public final class AdapterArchive {

    private AdapterArchive() {}

    /**
     * Returns whether a file begins as an archive does that can be unpacked: zip, tar or tar.gz.
     *
     * @param file the file
     * @return whether it does
     * @throws LoraConfigurationException if it cannot be read
     */
    public static boolean isArchive(Path file) {
        try (DataChannel channel = DataChannel.open(file)) {
            return Archives.of(channel) != Archives.NONE;
        }
    }

    /**
     * Unpacks an archive. Names that lead out of the folder, links, devices, and more bytes or
     * entries than are allowed are refused; what was unpacked up to there stays in the folder.
     *
     * @param archive the archive
     * @param folder an empty folder
     * @param limits how much may come out of it
     * @return where the adapter's files lie: the folder, or the only folder in it
     * @throws LoraConfigurationException if it is not a whole archive, or one that is not allowed
     */
    public static Path unpack(Path archive, Path folder, FormatLimits limits) {
        Path root = folder.normalize();
        try (DataChannel channel = DataChannel.open(archive)) {
            Archives.of(channel)
                    .extract(channel, limits, (name, content) -> write(root, name, content));
            return ExtractedArchive.innermost(root);
        }
    }

    /** Writes a file of an archive. */
    static void write(Path root, String name, InputStream content) throws IOException {
        Path file = root.resolve(name).normalize();
        if (!file.startsWith(root)) {
            throw new IOException("The name leads out of the folder");
        }
        Files.createDirectories(file.resolveSibling(""));
        // fails where the file is there already, as on systems that do not tell A from a
        Files.copy(content, file);
    }
}
