/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The files of an archive in a temporary folder, which closing deletes. */
final class ExtractedArchive implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(ExtractedArchive.class);

    /** What macOS puts into an archive beside what it was asked to pack. */
    private static final String RESOURCES = "__MACOSX";

    private final Path root;

    private ExtractedArchive(Path root) {
        this.root = root;
    }

    /**
     * Extracts an archive.
     *
     * @param archive the archive
     * @param kind what it is
     * @param limits how much may come out of it
     * @return the files, to be closed by the caller
     */
    static ExtractedArchive extract(DataChannel archive, Archives kind, FormatLimits limits) {
        ExtractedArchive extracted;
        try {
            // only its owner may enter the folder, on systems that know owners
            extracted = new ExtractedArchive(Files.createTempDirectory("djl-lora-adapter-"));
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    archive.name()
                            + ": there is no folder to extract it to: "
                            + Message.oneLine(e.toString()),
                    e);
        }
        boolean done = false;
        try {
            kind.extract(
                    archive,
                    limits,
                    (name, content) -> AdapterArchive.write(extracted.root, name, content));
            done = true;
            return extracted;
        } finally {
            if (!done) {
                extracted.close();
            }
        }
    }

    /**
     * Returns where the adapter's files lie: in the archive itself, or in the only folder in it.
     *
     * @return the folder
     */
    Path directory() {
        return innermost(root);
    }

    /** Returns a folder, or the only folder in it. */
    static Path innermost(Path root) {
        try (Stream<Path> list = Files.list(root)) {
            List<Path> inside =
                    list.filter(path -> !path.getFileName().toString().equals(RESOURCES)).toList();
            return inside.size() == 1 && Files.isDirectory(inside.get(0)) ? inside.get(0) : root;
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(root.toString())
                            + ": cannot be read: "
                            + Message.oneLine(e.toString()),
                    e);
        }
    }

    /** Deletes the files. */
    @Override
    public void close() {
        try (Stream<Path> walk = Files.walk(root)) {
            for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        } catch (IOException e) {
            logger.warn("Deleting the extracted files in {} failed", root, e);
        }
    }
}
