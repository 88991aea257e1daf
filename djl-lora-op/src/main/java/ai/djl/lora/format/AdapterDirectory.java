/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The folder of an adapter, out of which nothing is read.
 *
 * <p>A link is followed to a file in the folder, and to one in the {@code blobs} of the Hugging
 * Face cache that the folder belongs to: the files of a {@code snapshots/<revision>} folder there
 * are links to {@code ../../blobs}. Any other link is refused, since whoever made the folder may
 * not be allowed to read what the link names.
 */
final class AdapterDirectory implements AutoCloseable {

    private static final String SNAPSHOTS = "snapshots";
    private static final String BLOBS = "blobs";

    private final Path path;
    private final Path real;
    private final Optional<Path> named;
    private final Optional<ExtractedArchive> extracted;

    /**
     * Constructs a new {@code AdapterDirectory} instance.
     *
     * @param path an existing directory
     */
    AdapterDirectory(Path path) {
        this(path, Optional.empty(), Optional.empty());
    }

    /**
     * Returns the folder of a file that somebody named; the file itself may be a link to anywhere.
     *
     * @param file the file, absolute
     */
    static AdapterDirectory of(Path file) {
        return new AdapterDirectory(file.resolveSibling(""), Optional.of(file), Optional.empty());
    }

    /**
     * Constructs a new {@code AdapterDirectory} instance, which owns the files of an archive.
     *
     * @param extracted the files, deleted when this is closed
     */
    AdapterDirectory(ExtractedArchive extracted) {
        this(extracted.directory(), Optional.empty(), Optional.of(extracted));
    }

    private AdapterDirectory(
            Path path, Optional<Path> named, Optional<ExtractedArchive> extracted) {
        this.path = path;
        this.named = named;
        this.extracted = extracted;
        try {
            real = path.toRealPath();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(path.toString())
                            + ": cannot be read: "
                            + Message.oneLine(e.toString()),
                    e);
        }
    }

    /** Returns the folder as it was given. */
    Path path() {
        return path;
    }

    /**
     * Returns a file of the folder.
     *
     * @param name the file's name
     * @return its path, empty where there is none
     * @throws IllegalArgumentException if the name is no plain file name
     * @throws LoraConfigurationException if it is a link out of the folder, or no regular file
     */
    Optional<Path> file(String name) {
        if (!isPlain(name)) {
            throw new IllegalArgumentException(
                    "Expected a plain file name, found " + Message.quote(name));
        }
        Path file = path.resolve(name);
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        check(file);
        return Optional.of(file);
    }

    /** Refuses a file that is a link out of the folder, or no regular file. */
    void check(Path file) {
        String shown = Message.oneLine(file.toString());
        if (!Files.isRegularFile(file)) {
            throw new LoraConfigurationException(shown + ": expected a regular file");
        }
        if (named.equals(Optional.of(file))) {
            return;
        }
        Path target;
        try {
            target = file.toRealPath();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    shown + ": cannot be read: " + Message.oneLine(e.toString()), e);
        }
        if (!real.equals(target.getParent()) && !isBlob(target)) {
            throw new LoraConfigurationException(
                    shown + ": the file is a link that leads out of the adapter's folder");
        }
    }

    /** Deletes the folder where it was extracted from an archive. */
    @Override
    public void close() {
        extracted.ifPresent(ExtractedArchive::close);
    }

    private boolean isBlob(Path target) {
        Path snapshots = real.getParent();
        return snapshots != null
                && snapshots.endsWith(SNAPSHOTS)
                && snapshots.resolveSibling(BLOBS).equals(target.getParent());
    }

    private static boolean isPlain(String name) {
        try {
            return !name.isEmpty()
                    && !".".equals(name)
                    && !"..".equals(name)
                    && name.indexOf('/') < 0
                    && name.indexOf('\\') < 0
                    && Path.of(name).getNameCount() == 1
                    && !Path.of(name).isAbsolute();
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
