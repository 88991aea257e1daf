/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraConfigurationException;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The folder in which the server keeps what it has fetched and unpacked, each adapter in a folder
 * of its own. Folders that nothing needs any more are removed.
 */
public final class LocalCopies implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(LocalCopies.class);

    private static final String PREFIX = "adapter-";

    private final Path root;
    private final boolean temporary;
    private final Set<Path> held = new HashSet<>();
    private final Map<Path, Long> unneeded = new HashMap<>();

    /**
     * Constructs a new {@code LocalCopies} instance.
     *
     * @param folder a folder that is kept, made if it is not there, in which nobody else writes;
     *     empty for a temporary one, which closing deletes
     * @throws LoraConfigurationException if it cannot be made
     */
    public LocalCopies(Optional<Path> folder) {
        temporary = folder.isEmpty();
        try {
            // only its owner may enter the folder, on systems that know owners
            Path made =
                    temporary
                            ? Files.createTempDirectory("djl-lora-adapters-")
                            : Files.createDirectories(folder.get());
            root = made.toRealPath();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    "the folder for copies of adapters cannot be made: " + e, e);
        }
    }

    /** A folder that is being filled. Closing deletes it, unless it is kept. */
    public final class Copy implements AutoCloseable {

        private final Path folder;

        private Copy(Path folder) {
            this.folder = folder;
        }

        /**
         * Returns the folder.
         *
         * @return an empty folder at first
         */
        public Path folder() {
            return folder;
        }

        /** Leaves the folder to whoever needs it, until nobody does. */
        public void keep() {
            release(folder);
        }

        /** Deletes the folder, unless it is kept. */
        @Override
        public void close() {
            if (release(folder)) {
                delete(folder);
            }
        }
    }

    /**
     * Begins a copy.
     *
     * @return a new folder
     * @throws LoraConfigurationException if it cannot be made
     */
    public Copy begin() {
        Path folder = root.resolve(PREFIX + UUID.randomUUID());
        synchronized (held) {
            held.add(folder);
        }
        try {
            Files.createDirectory(folder);
        } catch (IOException e) {
            release(folder);
            throw new LoraConfigurationException(
                    "there is no room for a copy of an adapter: " + e, e);
        }
        return new Copy(folder);
    }

    private boolean release(Path folder) {
        synchronized (held) {
            return held.remove(folder);
        }
    }

    /**
     * Deletes the copies that have not been needed for a time.
     *
     * @param needed what is needed: the copies themselves, or files in them
     * @param time how long they must not have been needed; since they were first found to be so
     */
    public void sweep(Collection<Path> needed, Duration time) {
        List<Path> doomed = new ArrayList<>();
        long now = System.nanoTime();
        synchronized (held) {
            Set<Path> found = new HashSet<>();
            for (Path folder : folders()) {
                if (!held.contains(folder)
                        && needed.stream().noneMatch(path -> path.startsWith(folder))) {
                    found.add(folder);
                    long since = unneeded.computeIfAbsent(folder, key -> now);
                    if (now - since >= time.toNanos()) {
                        doomed.add(folder);
                    }
                }
            }
            unneeded.keySet().retainAll(found);
        }
        doomed.forEach(LocalCopies::delete);
    }

    private List<Path> folders() {
        try (Stream<Path> list = Files.list(root)) {
            return list.filter(path -> path.getFileName().toString().startsWith(PREFIX)).toList();
        } catch (IOException e) {
            logger.warn("The folder of copies cannot be read", e);
            return List.of();
        }
    }

    private static void delete(Path folder) {
        try {
            Files.walkFileTree(
                    folder,
                    new SimpleFileVisitor<>() {
                        @Override
                        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                                throws IOException {
                            Files.deleteIfExists(file);
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult postVisitDirectory(Path visited, IOException failure)
                                throws IOException {
                            Files.deleteIfExists(visited);
                            return FileVisitResult.CONTINUE;
                        }
                    });
        } catch (IOException e) {
            logger.warn("A copy of an adapter cannot be deleted", e);
        }
    }

    /** Deletes the folder if it is a temporary one. */
    @Override
    public void close() {
        if (temporary) {
            delete(root);
        }
    }
}
