/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.json.Message;
import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Iterator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The changes of a registry in the order in which they were made, on a disk.
 *
 * <p>A change is there as a whole or not at all: {@link #append} returns when the disk has it, and
 * what a crash leaves of a record is cut off at the next opening (see {@link RecordFile}). When the
 * changes outweigh the snapshot that they follow, {@link #compact} writes a new file and puts it in
 * the old one's place in one step. Used by one thread at a time.
 */
final class RegistryLog implements Closeable {

    private static final Logger logger = LoggerFactory.getLogger(RegistryLog.class);

    private static final String NAME = "registry.log";
    private static final String NEW_NAME = "registry.log.new";

    private final Path directory;
    private final Path path;
    private final long minCompaction;
    private final RegistryLock lock;
    private RandomAccessFile file;
    private long sequence;
    private long end;
    private long compactAt;
    private String broken;

    private RegistryLog(Path directory, long minCompaction, RegistryLock lock) {
        this.directory = directory;
        this.path = directory.resolve(NAME);
        this.minCompaction = minCompaction;
        this.lock = lock;
    }

    /**
     * Opens the log in a directory, or begins one.
     *
     * @param directory the directory, made if it is not there
     * @param minCompaction how many bytes of changes are kept whatever the snapshot's size
     * @param visitor is given every record
     * @return the open log
     * @throws LoraConfigurationException if the log is in use, damaged or cannot be read
     */
    static RegistryLog open(Path directory, long minCompaction, RecordFile.Visitor visitor) {
        RegistryLog log = null;
        boolean open = false;
        try {
            DurableFiles.createDirectories(directory);
            Path real = directory.toRealPath();
            log = new RegistryLog(real, minCompaction, RegistryLock.acquire(real));
            log.load(visitor);
            open = true;
            return log;
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    name(directory) + ": the registry cannot be opened: " + text(e), e);
        } finally {
            if (log != null && !open) {
                log.closeQuietly();
            }
        }
    }

    private void load(RecordFile.Visitor visitor) throws IOException {
        Files.deleteIfExists(directory.resolve(NEW_NAME));
        if (Files.notExists(path)) {
            replaceBy(Collections.emptyIterator());
            return;
        }
        file = new RandomAccessFile(path.toFile(), "rw");
        try {
            RecordFile.End found = new RecordFile(file).read(visitor);
            sequence = found.sequence();
            end = found.position();
            setThreshold(found.header().snapshotBytes());
        } catch (DamageException e) {
            throw new LoraConfigurationException(
                    name(path)
                            + ": "
                            + e.getMessage()
                            + "; nothing was changed. Restore the file from a copy, or move it away"
                            + " to begin with an empty registry",
                    e);
        }
        if (file.length() > end) {
            logger.info(
                    "{}: cut off {} bytes of a change that was never confirmed, after change {}",
                    name(path),
                    file.length() - end,
                    sequence);
            file.setLength(end);
        }
        // what a killed process wrote may be in the system's memory alone until now
        file.getFD().sync();
        DurableFiles.syncDirectory(directory);
    }

    /** Returns the number of the last change. */
    long sequence() {
        return sequence;
    }

    /** Returns how many bytes the file has. */
    long bytes() {
        return end;
    }

    /**
     * Adds a change and waits until the disk has it.
     *
     * @param payload the change
     * @throws LoraException if it cannot be written; the log is as before
     */
    void append(byte[] payload) {
        if (broken != null) {
            throw new LoraException(
                    name(path)
                            + ": the registry takes no changes since a write failed: "
                            + broken
                            + "; open it again");
        }
        byte[] record = RecordFormat.record(sequence + 1, payload);
        try {
            file.seek(end);
            file.write(record);
            file.getFD().sync();
        } catch (IOException e) {
            takeBack(e);
            throw new LoraException(
                    name(path) + ": cannot be written, the change was not made: " + text(e), e);
        }
        end += record.length;
        ++sequence;
    }

    private void takeBack(IOException failure) {
        try {
            file.setLength(end);
            file.getFD().sync();
        } catch (IOException e) {
            // the disk may or may not have the change: the next opening will tell
            broken = text(failure);
            failure.addSuppressed(e);
        }
    }

    /** Returns whether so much has changed that a snapshot would be shorter. */
    boolean wantsCompaction() {
        return broken == null && end >= compactAt;
    }

    /**
     * Replaces the file by a snapshot. A failure is logged and leaves the log as it is, since no
     * change is lost by it.
     *
     * @param snapshot the state after the last change
     */
    void compact(Iterator<byte[]> snapshot) {
        RandomAccessFile old = file;
        try {
            replaceBy(snapshot);
            old.close();
        } catch (IOException e) {
            logger.warn("{}: cannot be compacted: {}", name(path), text(e));
            compactAt = 2 * end; // not again with each change
        }
    }

    private void replaceBy(Iterator<byte[]> snapshot) throws IOException {
        Path fresh = directory.resolve(NEW_NAME);
        RandomAccessFile written = DurableFiles.write(fresh, sequence, snapshot);
        try {
            DurableFiles.rename(fresh, path);
        } catch (IOException e) {
            written.close();
            Files.deleteIfExists(fresh);
            throw e;
        }
        file = written;
        end = written.length();
        setThreshold(end - RecordFormat.FILE_HEADER);
        try {
            DurableFiles.syncDirectory(directory);
        } catch (IOException e) {
            // a crash may bring back the old file, which would not have the changes to come
            broken = text(e);
            throw e;
        }
    }

    private void setThreshold(long snapshotBytes) {
        compactAt =
                RecordFormat.FILE_HEADER + snapshotBytes + Math.max(minCompaction, snapshotBytes);
    }

    /** Closes the file and gives the lock back. */
    @Override
    public void close() throws IOException {
        try {
            if (file != null) {
                file.close();
            }
        } finally {
            lock.close();
        }
    }

    private void closeQuietly() {
        try {
            close();
        } catch (IOException e) {
            logger.debug("{}: cannot be closed", name(path), e);
        }
    }

    private static String name(Path path) {
        return Message.oneLine(path.toString());
    }

    private static String text(IOException e) {
        return Message.oneLine(e.toString());
    }
}
