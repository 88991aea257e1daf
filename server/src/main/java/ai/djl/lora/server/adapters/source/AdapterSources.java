/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraException;
import ai.djl.lora.format.AdapterArchive;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Brings adapters from where they are to where they can be read, if they may come from there. */
public final class AdapterSources implements AutoCloseable {

    private final SourcePolicy policy;
    private final FormatLimits limits;
    private final LocalCopies copies;
    private final List<RemoteSource> remotes;

    /**
     * Constructs a new {@code AdapterSources} instance.
     *
     * @param options what is allowed, and how much
     */
    public AdapterSources(SourceOptions options) {
        policy = options.policy();
        limits = options.limits();
        copies = new LocalCopies(options.folder());
        Downloads downloads = new Downloads(options.connectTime());
        remotes =
                List.of(
                        new HttpSource(options, downloads),
                        new HubSource(options, downloads),
                        new S3Source(options));
    }

    /**
     * Makes an adapter readable.
     *
     * @param source an absolute path, or an address that begins with {@code file:}, {@code https:},
     *     {@code s3:} or {@code hf:}
     * @param sha256 what its file must hash to, where it is one file; empty for anything
     * @return the adapter, to be closed by the caller
     * @throws HttpFailure of status 403 if it may not come from there, of 400 if it is not there or
     *     is not what it must be, of 502 if where it is does not answer as it should
     */
    public FetchedAdapter fetch(String source, Optional<String> sha256) {
        for (RemoteSource remote : remotes) {
            if (remote.reads(source)) {
                return fetch(remote, source, sha256);
            }
        }
        return local(source, path(source), sha256);
    }

    private FetchedAdapter fetch(RemoteSource remote, String source, Optional<String> sha256) {
        remote.check(source);
        LocalCopies.Copy copy = copies.begin();
        boolean done = false;
        try {
            Path fetched = remote.fetch(source, copy.folder());
            FetchedAdapter adapter = unpacked(source, fetched, copy, sha256);
            done = true;
            return adapter;
        } finally {
            if (!done) {
                copy.close();
            }
        }
    }

    private FetchedAdapter unpacked(
            String source, Path fetched, LocalCopies.Copy copy, Optional<String> sha256) {
        checkHash(fetched, sha256);
        FetchedAdapter whole = new FetchedAdapter(fetched, source, Optional.of(copy));
        if (Files.isDirectory(fetched)) {
            return whole;
        }
        return told(
                whole,
                () -> {
                    if (!AdapterArchive.isArchive(fetched)) {
                        return whole;
                    }
                    Path unpacked = unpack(fetched, copy);
                    Files.delete(fetched);
                    return new FetchedAdapter(unpacked, source, Optional.of(copy));
                });
    }

    private Path unpack(Path archive, LocalCopies.Copy copy) throws IOException {
        Path folder = Files.createDirectory(copy.folder().resolve("unpacked"));
        return AdapterArchive.unpack(archive, folder, limits);
    }

    /**
     * Unpacks an archive that was sent.
     *
     * @param archive the archive, which stays the caller's
     * @param sha256 what it must hash to; empty for anything
     * @return the adapter, to be closed by the caller
     * @throws HttpFailure of status 400 if it is no archive, or one that is not allowed
     */
    public FetchedAdapter unpack(Path archive, Optional<String> sha256) {
        return unpack("upload", archive, sha256);
    }

    private FetchedAdapter unpack(String source, Path archive, Optional<String> sha256) {
        checkHash(archive, sha256);
        LocalCopies.Copy copy = copies.begin();
        boolean done = false;
        try {
            FetchedAdapter shown = new FetchedAdapter(archive, source, Optional.of(copy));
            FetchedAdapter adapter =
                    told(
                            shown,
                            () ->
                                    new FetchedAdapter(
                                            unpack(archive, copy), source, Optional.of(copy)));
            done = true;
            return adapter;
        } finally {
            if (!done) {
                copy.close();
            }
        }
    }

    private FetchedAdapter local(String source, Path path, Optional<String> sha256) {
        Path real = realPath(source, path);
        if (Files.isDirectory(real)) {
            if (sha256.isPresent()) {
                throw HttpFailure.badRequest(
                        "sha256", "sha256 is of one file, and the source is a folder");
            }
            return new FetchedAdapter(real, source, Optional.empty());
        }
        FetchedAdapter file = new FetchedAdapter(real, source, Optional.empty());
        if (told(file, () -> AdapterArchive.isArchive(real))) {
            return unpack(source, real, sha256);
        }
        checkHash(real, sha256);
        return file;
    }

    private Path realPath(String source, Path path) {
        // before anything is looked up, so that nobody learns what lies elsewhere
        if (policy.folders().stream().noneMatch(path::startsWith)) {
            throw refused(source);
        }
        Path real;
        try {
            real = path.toRealPath();
        } catch (IOException e) {
            throw new HttpFailure(
                    400,
                    "source_not_found",
                    "the source " + Message.quote(source) + " is not there or cannot be read",
                    "source",
                    Map.of(),
                    e);
        }
        for (Path folder : policy.folders()) {
            if (path.startsWith(folder) && isIn(real, folder)) {
                return real;
            }
        }
        throw refused(source);
    }

    private static boolean isIn(Path real, Path folder) {
        try {
            return real.startsWith(folder.toRealPath())
                    && !Files.isSymbolicLink(real)
                    && (Files.isDirectory(real)
                            || Files.isRegularFile(real, LinkOption.NOFOLLOW_LINKS));
        } catch (IOException e) {
            return false;
        }
    }

    private static Path path(String source) {
        try {
            Path path = source.startsWith("file:") ? Path.of(URI.create(source)) : Path.of(source);
            if (path.isAbsolute()) {
                return path.normalize();
            }
        } catch (IllegalArgumentException e) {
            throw new HttpFailure(
                    400,
                    "invalid_request",
                    "the source " + Message.quote(source) + " is no path or address",
                    "source",
                    Map.of(),
                    e);
        }
        throw HttpFailure.badRequest(
                "source",
                "the source "
                        + Message.quote(source)
                        + " is neither an absolute path nor an address of file:, https:, s3: or"
                        + " hf:");
    }

    /**
     * Returns the refusal of a source that is not allowed.
     *
     * @param source the source
     * @return a failure of status 403
     */
    static HttpFailure refused(String source) {
        return new HttpFailure(
                403,
                "source_not_allowed",
                "the source " + Message.quote(source) + " is not among those that are allowed",
                "source",
                Map.of(),
                null);
    }

    private static void checkHash(Path file, Optional<String> sha256) {
        if (sha256.isEmpty()) {
            return;
        }
        if (Files.isDirectory(file)) {
            throw HttpFailure.badRequest(
                    "sha256", "sha256 is of one file, and the source has several");
        }
        String found = hash(file);
        if (!found.equalsIgnoreCase(sha256.get())) {
            throw new HttpFailure(
                    400,
                    "checksum_mismatch",
                    "the file has the SHA-256 " + found + ", not " + sha256.get(),
                    "sha256",
                    Map.of(),
                    null);
        }
    }

    private static String hash(Path file) {
        try (InputStream in =
                new DigestInputStream(
                        Files.newInputStream(file), MessageDigest.getInstance("SHA-256"))) {
            in.transferTo(OutputStream.nullOutputStream());
            return HexFormat.of().formatHex(((DigestInputStream) in).getMessageDigest().digest());
        } catch (IOException e) {
            throw new HttpFailure(
                    400, "source_not_found", "the source cannot be read", "source", Map.of(), e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Something that reads an adapter's files. */
    @FunctionalInterface
    private interface Reading<T> {
        T read() throws IOException;
    }

    /** Does something, and leaves the server's paths out of what is told when it fails. */
    private static <T> T told(FetchedAdapter adapter, Reading<T> work) {
        try {
            return work.read();
        } catch (LoraException e) {
            throw adapter.hidden(e);
        } catch (IOException e) {
            throw new HttpFailure(
                    400,
                    "source_not_found",
                    "the source " + Message.quote(adapter.given()) + " cannot be unpacked",
                    "source",
                    Map.of(),
                    e);
        }
    }

    /**
     * Deletes the copies that nothing has needed for a time.
     *
     * @param needed what is needed
     * @param time the time
     */
    public void sweep(Collection<Path> needed, Duration time) {
        copies.sweep(needed, time);
    }

    /** Deletes the copies if they are not kept. */
    @Override
    public void close() {
        remotes.forEach(RemoteSource::close);
        copies.close();
    }
}
