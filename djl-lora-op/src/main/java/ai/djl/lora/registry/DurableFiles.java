/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Writes files so that after a crash there is either the old one or the new one.
 *
 * <p>Files are written through {@link RandomAccessFile}: an interrupted thread closes the channel
 * that it uses, and the file would be lost to all others.
 */
final class DurableFiles {

    private DurableFiles() {}

    /**
     * Writes a file of records and waits until the disk has it.
     *
     * @param path the file, replaced if it exists
     * @param sequence the number of the last change that the snapshot includes
     * @param payloads the snapshot
     * @return the open file, positioned at its end, to be closed by the caller
     */
    static RandomAccessFile write(Path path, long sequence, Iterator<byte[]> payloads)
            throws IOException {
        RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw");
        try {
            file.setLength(0);
            file.seek(RecordFormat.FILE_HEADER);
            long bytes = 0;
            while (payloads.hasNext()) {
                byte[] record = RecordFormat.record(sequence, payloads.next());
                file.write(record);
                bytes += record.length;
            }
            file.seek(0);
            file.write(RecordFormat.fileHeader(new RecordFormat.FileHeader(sequence, bytes)));
            file.seek(RecordFormat.FILE_HEADER + bytes);
            file.getFD().sync();
            return file;
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /** Puts a file in the place of another, in one step. */
    static void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Makes a directory and those above it, and waits until the disk has their names. */
    static void createDirectories(Path directory) throws IOException {
        List<Path> parents = new ArrayList<>();
        Path path = directory.toAbsolutePath();
        Path parent = path.getParent();
        while (parent != null && Files.notExists(path)) {
            parents.add(parent);
            path = parent;
            parent = path.getParent();
        }
        Files.createDirectories(directory);
        for (Path made : parents) {
            syncDirectory(made);
        }
    }

    /** Waits until the names in a directory are on the disk. */
    static void syncDirectory(Path directory) throws IOException {
        if (!directory.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            return; // elsewhere a directory cannot be opened, and a rename is on the disk
        }
        boolean interrupted = false;
        try {
            while (true) {
                interrupted |= Thread.interrupted();
                try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
                    channel.force(true);
                    return;
                } catch (ClosedByInterruptException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
