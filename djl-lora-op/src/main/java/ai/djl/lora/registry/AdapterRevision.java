/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;

/**
 * One content of an adapter. What it holds of the content never changes; its metadata and whether
 * it was validated may be set later, which makes another instance.
 *
 * @param hash the content's name: SHA-256 in 64 lower-case hexadecimal digits, as {@link
 *     ai.djl.lora.adapter.LoraAdapter#revision} gives it
 * @param source the folder or archive, absolute and normalised
 * @param bytes how much memory the adapter's weights take as they are stored
 * @param registered when the registry took it, in whole milliseconds
 * @param metadata what its owner notes of it, unmodifiable
 * @param validated whether it was read whole, checked against the model and found to fit
 * @param checksums what a later reader needs to check its parts one by one, opaque to the registry;
 *     empty unless it was validated
 */
public record AdapterRevision(
        String hash,
        Path source,
        long bytes,
        Instant registered,
        Map<String, String> metadata,
        boolean validated,
        byte[] checksums) {

    private static final int HASH_LENGTH = 64;

    /** The largest block of checksums, in bytes; 4 bytes for each of 250,000 parts. */
    private static final int MAX_CHECKSUMS = 1_000_000;

    /**
     * Constructs a new {@code AdapterRevision} instance.
     *
     * @param hash the content's name: SHA-256 in 64 lower-case hexadecimal digits, as {@link
     *     ai.djl.lora.adapter.LoraAdapter#revision} gives it
     * @param source the folder or archive, absolute and normalised
     * @param bytes how much memory the adapter's weights take as they are stored
     * @param registered when the registry took it, in whole milliseconds
     * @param metadata what its owner notes of it, unmodifiable
     * @param validated whether it was read whole, checked against the model and found to fit
     * @param checksums what a later reader needs to check its parts one by one, opaque to the
     *     registry; empty unless it was validated
     * @throws LoraConfigurationException if a component is not what it must be
     */
    public AdapterRevision {
        checkHash(hash);
        source = checkSource(source);
        if (bytes < 0) {
            throw new LoraConfigurationException(
                    "An adapter's size is " + bytes + " bytes, allowed are 0 and more");
        }
        registered = Instant.ofEpochMilli(registered.toEpochMilli());
        metadata = NameRules.checkMetadata(metadata);
        if (checksums.length > MAX_CHECKSUMS) {
            throw new LoraConfigurationException(
                    "An adapter's checksums have "
                            + checksums.length
                            + " bytes, allowed are "
                            + MAX_CHECKSUMS);
        }
        if (!validated && checksums.length > 0) {
            throw new LoraConfigurationException(
                    "An adapter that was not validated has checksums; they are noted with the"
                            + " validation");
        }
        checksums = checksums.clone();
    }

    /**
     * {@inheritDoc}
     *
     * @return a copy
     */
    @Override
    public byte[] checksums() {
        return checksums.clone();
    }

    /** Returns the same content, registered at another time. */
    AdapterRevision withRegistered(Instant other) {
        return new AdapterRevision(hash, source, bytes, other, metadata, validated, checksums);
    }

    /** Returns the same content with other metadata. */
    AdapterRevision withMetadata(Map<String, String> other) {
        return new AdapterRevision(hash, source, bytes, registered, other, validated, checksums);
    }

    /** Returns the same content, validated. */
    AdapterRevision withChecksums(byte[] other) {
        return new AdapterRevision(hash, source, bytes, registered, metadata, true, other);
    }

    /** {@inheritDoc} */
    @Override
    public boolean equals(Object object) {
        return object instanceof AdapterRevision other
                && hash.equals(other.hash)
                && source.equals(other.source)
                && bytes == other.bytes
                && registered.equals(other.registered)
                && metadata.equals(other.metadata)
                && validated == other.validated
                && Arrays.equals(checksums, other.checksums);
    }

    /** {@inheritDoc} */
    @Override
    public int hashCode() {
        return Objects.hash(hash, source, registered);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return "revision " + hash + " from " + Message.oneLine(source.toString());
    }

    private static void checkHash(String hash) {
        boolean valid =
                hash != null
                        && hash.length() == HASH_LENGTH
                        && hash.chars().allMatch(c -> c >= '0' && c <= '9' || c >= 'a' && c <= 'f');
        if (!valid) {
            throw new LoraConfigurationException(
                    "An adapter's revision is "
                            + (hash == null ? "null" : Message.quote(hash))
                            + "; expected a SHA-256 in 64 lower-case hexadecimal digits");
        }
    }

    private static Path checkSource(Path source) {
        if (!source.getFileSystem().equals(FileSystems.getDefault())) {
            throw new LoraConfigurationException(
                    Message.oneLine(source.toUri().toString())
                            + ": an adapter's source must lie in the default file system");
        }
        Path absolute = source.toAbsolutePath().normalize();
        // a locale that cannot express the name's bytes would make another file of it at a restart
        if (!Path.of(absolute.toString()).equals(absolute)) {
            throw new LoraConfigurationException(
                    Message.oneLine(absolute.toString())
                            + ": the path has characters that this locale cannot express; use a"
                            + " UTF-8 locale, such as LC_ALL=C.UTF-8");
        }
        return absolute;
    }
}
