/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * A file or folder that is made beside its place and appears there whole, or not at all.
 *
 * <p>What is there already is replaced on demand alone, and a folder only if it is such an output
 * itself: it has the file by which that is known, and no folders.
 */
final class Staging implements AutoCloseable {

    private final Path target;
    private final Path temporary;
    private final boolean replace;

    private Staging(Path target, Path temporary, boolean replace) {
        this.target = target;
        this.temporary = temporary;
        this.replace = replace;
    }

    /**
     * Begins a file.
     *
     * @param target where it is to appear
     * @param replace whether to replace a file that is there
     * @param source what is read while the file is made
     * @return the staging, whose {@link #path} is an empty file
     * @throws LoraConfigurationException if something is there that is not to be replaced
     */
    static Staging file(Path target, boolean replace, Path source) throws IOException {
        Path folder = checkParent(target, source);
        if (Files.exists(target) && !Files.isRegularFile(target)) {
            throw fail(target, "there is something that is no file, which is not replaced");
        }
        checkFree(target, replace);
        return new Staging(target, Files.createFile(folder.resolve(newName())), replace);
    }

    /**
     * Begins a folder.
     *
     * @param target where it is to appear
     * @param replace whether to replace a folder that is there
     * @param mark the file by which such a folder is known
     * @param source what is read while the folder is made
     * @return the staging, whose {@link #path} is an empty folder
     * @throws LoraConfigurationException if something is there that is not to be replaced
     */
    static Staging folder(Path target, boolean replace, String mark, Path source)
            throws IOException {
        Path folder = checkParent(target, source);
        if (Files.exists(target)) {
            Optional<Path> foreign = Optional.empty();
            if (Files.isDirectory(target)) {
                try (Stream<Path> files = Files.list(target)) {
                    foreign = files.filter(file -> !Files.isRegularFile(file)).findAny();
                }
            }
            if (!Files.isRegularFile(target.resolve(mark)) || foreign.isPresent()) {
                throw fail(
                        target,
                        "is there already, and is no folder with "
                                + mark
                                + " and nothing but files, which alone is replaced");
            }
            checkFree(target, replace);
        }
        return new Staging(target, Files.createDirectory(folder.resolve(newName())), replace);
    }

    /** Returns where to write. */
    Path path() {
        return temporary;
    }

    /** Puts what was written in its place. */
    void commit() throws IOException {
        if (!Files.isDirectory(temporary)) {
            checkFree(target, replace);
            Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING);
            return;
        }
        if (!replace || !Files.exists(target)) {
            Files.move(temporary, target);
            return;
        }
        Path old = target.resolveSibling(newName());
        Files.move(target, old);
        Files.move(temporary, target);
        delete(old);
    }

    /** Deletes what was not put in its place. */
    @Override
    public void close() throws IOException {
        if (Files.exists(temporary)) {
            delete(temporary);
        }
    }

    /* Java's own temporary files would be readable by their owner alone, and stay so. */
    private static String newName() {
        return ".djl-lora-" + UUID.randomUUID() + ".tmp";
    }

    private static Path checkParent(Path target, Path source) throws IOException {
        if (Files.exists(target) && Files.isSameFile(target, source)) {
            throw fail(target, "cannot be both read and written");
        }
        Path folder = target.toAbsolutePath().getParent();
        if (folder == null || !Files.isDirectory(folder)) {
            throw fail(target, "there is no folder " + folder + " to write it into");
        }
        return folder;
    }

    private static void checkFree(Path target, boolean replace) {
        if (!replace && Files.exists(target)) {
            throw fail(target, "is there already and was not to be replaced");
        }
    }

    private static void delete(Path path) throws IOException {
        List<Path> inside = List.of();
        if (Files.isDirectory(path)) {
            try (Stream<Path> files = Files.list(path)) {
                inside = files.toList();
            }
        }
        for (Path file : inside) {
            delete(file);
        }
        Files.delete(path);
    }

    private static LoraConfigurationException fail(Path target, String what) {
        return new LoraConfigurationException(Message.oneLine(target.toString()) + ": " + what);
    }
}
