/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** The right to write a registry, held by one process at a time and given back when it dies. */
final class RegistryLock implements Closeable {

    /**
     * The directories that this process has locked. The system's locks belong to a process: closing
     * any file that is open on the lock file would give up the lock, so that a second attempt must
     * be refused before it opens the file.
     */
    private static final Set<Path> HELD = new HashSet<>();

    private static final String NAME = "registry.lock";

    private final Path directory;
    private final RandomAccessFile file;

    private RegistryLock(Path directory, RandomAccessFile file) {
        this.directory = directory;
        this.file = file;
    }

    /**
     * Locks a directory.
     *
     * @param directory an existing directory, as its real path
     * @return the lock
     * @throws LoraConfigurationException if somebody else holds it
     */
    static RegistryLock acquire(Path directory) throws IOException {
        synchronized (HELD) {
            if (HELD.contains(directory)) {
                throw inUse(directory, "this process");
            }
            RegistryLock lock = new RegistryLock(directory, lockFile(directory));
            HELD.add(directory);
            return lock;
        }
    }

    private static RandomAccessFile lockFile(Path directory) throws IOException {
        RandomAccessFile file = new RandomAccessFile(directory.resolve(NAME).toFile(), "rw");
        boolean locked = false;
        try {
            if (!isLocked(file)) {
                String holder = file.readLine();
                throw inUse(
                        directory,
                        holder == null ? "another process" : "process " + holder.strip());
            }
            byte[] id = (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII);
            file.setLength(0);
            file.write(id);
            locked = true;
            return file;
        } finally {
            if (!locked) {
                file.close();
            }
        }
    }

    private static boolean isLocked(RandomAccessFile file) throws IOException {
        try {
            FileLock lock = file.getChannel().tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            return false; // another class loader of this process has it
        }
    }

    private static LoraConfigurationException inUse(Path directory, String holder) {
        return new LoraConfigurationException(
                Message.oneLine(directory.toString())
                        + ": the registry is in use by "
                        + Message.oneLine(holder)
                        + "; one process at a time may write it");
    }

    /** Gives the right back. The file stays: deleting it would let two processes lock two files. */
    @Override
    public void close() throws IOException {
        synchronized (HELD) {
            if (HELD.remove(directory)) {
                file.close();
            }
        }
    }
}
