/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compiled kernels on disk, one file for each, in a folder of a bounded size.
 *
 * <p>A file is written beside its place and renamed, so that processes that share the folder see
 * whole files only. It begins with the SHA-256 of the rest: one that does not match is taken as
 * missing, and removed. When the folder grows beyond its limit, what was used the longest ago goes
 * first.
 */
public final class KernelStore {

    private static final Logger logger = LoggerFactory.getLogger(KernelStore.class);

    private static final String ENDING = ".kernel";
    private static final String PART_ENDING = ".part";
    private static final int HASH_BYTES = 32;
    // a writer that takes longer than this has ended without removing its part
    private static final Duration ABANDONED = Duration.ofHours(1);

    private final Path folder;
    private final long maxBytes;
    private final InstantSource clock;

    /**
     * Constructs a new {@code KernelStore} instance.
     *
     * @param folder the folder, made when it is first written to
     * @param maxBytes the size in bytes that the files in it may have together, 1 or more
     * @param clock the time
     * @throws IllegalArgumentException if {@code maxBytes} is not allowed
     */
    public KernelStore(Path folder, long maxBytes, InstantSource clock) {
        if (maxBytes < 1) {
            throw new IllegalArgumentException(
                    "The limit of the kernels' folder is "
                            + maxBytes
                            + " bytes, but it must be 1 or more");
        }
        this.folder = folder;
        this.maxBytes = maxBytes;
        this.clock = clock;
    }

    /**
     * Returns what was put under a key, and marks it as used now.
     *
     * @param key the key, of letters and digits
     * @return the bytes; empty if there are none, or if they are damaged
     */
    public Optional<byte[]> get(String key) {
        Path file = file(key);
        byte[] all;
        try {
            all = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            logger.warn("Cannot read the compiled kernels {}: {}", file, e.toString());
            return Optional.empty();
        }
        if (all.length > HASH_BYTES) {
            byte[] content = Arrays.copyOfRange(all, HASH_BYTES, all.length);
            if (MessageDigest.isEqual(hash(content), Arrays.copyOf(all, HASH_BYTES))) {
                touch(file);
                return Optional.of(content);
            }
        }
        logger.warn("The compiled kernels {} are damaged and are compiled again", file);
        remove(file);
        return Optional.empty();
    }

    /**
     * Puts bytes under a key, and removes others where the folder would be too large. A disk that
     * fails is logged: the kernels are compiled again next time.
     *
     * @param key the key, of letters and digits
     * @param content the bytes
     */
    public void put(String key, byte[] content) {
        Path file = file(key);
        try {
            Files.createDirectories(folder);
            Path part = Files.createTempFile(folder, key, PART_ENDING);
            try {
                byte[] all = Arrays.copyOf(hash(content), HASH_BYTES + content.length);
                System.arraycopy(content, 0, all, HASH_BYTES, content.length);
                Files.write(part, all);
                touch(part);
                Files.move(
                        part,
                        file,
                        StandardCopyOption.ATOMIC_MOVE,
                        StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(part);
            }
            shrink(file);
        } catch (IOException e) {
            logger.warn("Cannot keep compiled kernels in {}: {}", folder, e.toString());
        }
    }

    private Path file(String key) {
        if (!key.matches("[0-9A-Za-z]+")) {
            throw new IllegalArgumentException(
                    "The key is \"" + key + "\", but it must be of letters and digits");
        }
        return folder.resolve(key + ENDING);
    }

    private void shrink(Path kept) throws IOException {
        List<Stored> all = new ArrayList<>();
        Instant abandoned = clock.instant().minus(ABANDONED);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                boolean part = file.toString().endsWith(PART_ENDING);
                if (!part && !file.toString().endsWith(ENDING)) {
                    continue; // not ours
                }
                Stored stored = Stored.of(file);
                if (stored == null) {
                    continue; // another process removed it
                }
                if (!part) {
                    all.add(stored);
                } else if (stored.used().toInstant().isBefore(abandoned)) {
                    remove(file);
                }
            }
        }
        all.sort(Comparator.comparing(Stored::used));
        long bytes = all.stream().mapToLong(Stored::bytes).sum();
        for (Stored stored : all) {
            if (bytes <= maxBytes) {
                return;
            }
            if (!stored.file().equals(kept)) {
                remove(stored.file());
                bytes -= stored.bytes();
            }
        }
    }

    private void touch(Path file) {
        try {
            Files.setLastModifiedTime(file, FileTime.from(clock.instant()));
        } catch (IOException e) {
            logger.debug("Cannot mark {} as used", file, e);
        }
    }

    private static void remove(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            logger.warn("Cannot remove the compiled kernels {}: {}", file, e.toString());
        }
    }

    private static byte[] hash(byte[] content) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(content);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** A file with its size and when it was used. */
    private record Stored(Path file, long bytes, FileTime used) {

        /** Returns null if the file is gone. */
        static Stored of(Path file) throws IOException {
            try {
                return new Stored(file, Files.size(file), Files.getLastModifiedTime(file));
            } catch (NoSuchFileException e) {
                return null;
            }
        }
    }
}
