/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * From where adapters may be had while the server runs. What is not named is refused.
 *
 * <p>Each entry allows one of:
 *
 * <ul>
 *   <li>{@code /folder} or {@code file:///folder}: what lies in a folder, or the folder itself;
 *   <li>{@code https://host[:port][/path]}: one host, and what begins with the path there; {@code
 *       http://} is taken for addresses of this machine alone, such as {@code
 *       http://127.0.0.1:8000};
 *   <li>{@code s3://bucket[/prefix]}: one bucket, and what begins with the prefix there;
 *   <li>{@code hf:organisation} or {@code hf:organisation/name}: the repositories of one owner on
 *       the Hugging Face hub, or one of them.
 * </ul>
 */
public final class SourcePolicy {

    /** Nothing may be had from anywhere. */
    public static final SourcePolicy NOTHING = of(List.of());

    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]", "::1");

    private final List<String> entries;
    private final List<Path> folders = new ArrayList<>();
    private final List<URI> hosts = new ArrayList<>();
    private final List<String> buckets = new ArrayList<>();
    private final List<String> repositories = new ArrayList<>();

    private SourcePolicy(Collection<String> entries) {
        this.entries = List.copyOf(entries);
        entries.forEach(this::add);
    }

    /**
     * Returns the policy that allows some sources.
     *
     * @param entries what is allowed, as this class's description has it
     * @return the policy
     * @throws LoraConfigurationException if an entry is none of that
     */
    public static SourcePolicy of(Collection<String> entries) {
        return new SourcePolicy(entries);
    }

    /**
     * Returns the policy that allows more.
     *
     * @param more what is allowed besides, as this class's description has it
     * @return the policy
     * @throws LoraConfigurationException if an entry is none of that
     */
    public SourcePolicy with(Collection<String> more) {
        List<String> all = new ArrayList<>(entries);
        all.addAll(more);
        return of(all);
    }

    private void add(String entry) {
        if (entry.startsWith("hf:")) {
            String repository = entry.substring("hf:".length());
            if (!repository.matches("[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")) {
                throw wrong(entry, "hf:organisation or hf:organisation/name");
            }
            repositories.add(repository);
        } else if (entry.startsWith("s3://")) {
            String place = entry.substring("s3://".length());
            if (!place.matches("[a-z0-9][a-z0-9.-]+(/.*)?")) {
                throw wrong(entry, "s3://bucket or s3://bucket/prefix");
            }
            buckets.add(place);
        } else if (entry.startsWith("http://") || entry.startsWith("https://")) {
            addHost(entry);
        } else {
            addFolder(entry);
        }
    }

    private void addHost(String entry) {
        URI uri;
        try {
            uri = new URI(entry);
        } catch (URISyntaxException e) {
            throw wrong(entry, "https://host[:port][/path]");
        }
        if (uri.getHost() == null
                || uri.getUserInfo() != null
                || uri.getQuery() != null
                || uri.getFragment() != null) {
            throw wrong(entry, "https://host[:port][/path]");
        }
        if (uri.getScheme().equals("http") && !isLoopback(uri.getHost())) {
            throw wrong(entry, "https, since http is taken for this machine alone");
        }
        hosts.add(uri);
    }

    /** Returns whether a host is this machine, to itself alone. */
    static boolean isLoopback(String host) {
        return host != null && LOOPBACK.contains(host);
    }

    private void addFolder(String entry) {
        try {
            Path folder = entry.startsWith("file:") ? Path.of(URI.create(entry)) : Path.of(entry);
            if (!folder.isAbsolute()) {
                throw wrong(entry, "an absolute path, https:, s3: or hf:");
            }
            folders.add(folder.normalize());
        } catch (IllegalArgumentException e) {
            throw new LoraConfigurationException(
                    "the allowed source " + Message.quote(entry) + " is no path: " + e.getMessage(),
                    e);
        }
    }

    private static LoraConfigurationException wrong(String entry, String expected) {
        return new LoraConfigurationException(
                "the allowed source " + Message.quote(entry) + " is not " + expected);
    }

    /**
     * Returns the folders from which adapters may be read.
     *
     * @return absolute paths
     */
    public List<Path> folders() {
        return List.copyOf(folders);
    }

    /**
     * Returns whether a file on a host may be had.
     *
     * @param uri its address
     * @return whether it may
     */
    boolean allows(URI uri) {
        return hosts.stream().anyMatch(host -> covers(host, uri));
    }

    private static boolean covers(URI allowed, URI uri) {
        if (uri.getHost() == null || uri.getUserInfo() != null) {
            return false;
        }
        String path = uri.normalize().getRawPath();
        return allowed.getScheme().equals(lower(uri.getScheme()))
                && lower(allowed.getHost()).equals(lower(uri.getHost()))
                && port(allowed) == port(uri)
                && !path.contains("/../")
                && !lower(path).contains("%2e")
                && isUnder(path, allowed.getRawPath());
    }

    private static String lower(String text) {
        return text == null ? "" : text.toLowerCase(Locale.ROOT);
    }

    private static int port(URI uri) {
        if (uri.getPort() >= 0) {
            return uri.getPort();
        }
        return "https".equals(lower(uri.getScheme())) ? 443 : 80;
    }

    /** Returns whether a path is another, or lies in it. */
    private static boolean isUnder(String path, String allowed) {
        return allowed.isEmpty()
                || path.equals(allowed)
                || path.startsWith(allowed.endsWith("/") ? allowed : allowed + '/');
    }

    /**
     * Returns whether what lies in a bucket may be had.
     *
     * @param bucket the bucket
     * @param key how its objects' keys begin
     * @return whether it may
     */
    boolean allowsBucket(String bucket, String key) {
        return buckets.stream().anyMatch(allowed -> isUnder(bucket + '/' + key, allowed));
    }

    /**
     * Returns whether a repository of the Hugging Face hub may be had.
     *
     * @param repository the repository, as in {@code organisation/name}
     * @return whether it may
     */
    boolean allowsRepository(String repository) {
        return repositories.stream().anyMatch(allowed -> isUnder(repository, allowed));
    }
}
