/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** Fetches an archive or an adapter's single file from a host. */
final class HttpSource implements RemoteSource {

    private final SourceOptions options;
    private final Downloads downloads;

    HttpSource(SourceOptions options, Downloads downloads) {
        this.options = options;
        this.downloads = downloads;
    }

    /** {@inheritDoc} */
    @Override
    public boolean reads(String source) {
        String start = source.toLowerCase(Locale.ROOT);
        return start.startsWith("https:") || start.startsWith("http:");
    }

    /** {@inheritDoc} */
    @Override
    public void check(String source) {
        if (!options.policy().allows(uri(source))) {
            throw AdapterSources.refused(source);
        }
    }

    private static URI uri(String source) {
        try {
            URI uri = new URI(source);
            if (uri.getHost() != null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw wrong(source, e);
        }
        throw wrong(source, null);
    }

    private static HttpFailure wrong(String source, Throwable cause) {
        return new HttpFailure(
                400,
                "invalid_request",
                "the source " + Message.quote(source) + " is no address",
                "source",
                Map.of(),
                cause);
    }

    /** {@inheritDoc} */
    @Override
    public Path fetch(String source, Path folder) {
        URI uri = uri(source);
        Path file = folder.resolve(name(uri));
        downloads.fetch(uri, null, options.policy()::allows, file, new FetchBudget(options));
        return file;
    }

    /* Formats are told by what a file holds, and GGUF by its name too. */
    private static String name(URI uri) {
        String path = uri.getPath();
        String name = path.substring(path.lastIndexOf('/') + 1);
        return name.matches("[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}") ? name : "download";
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        // the client's threads end by themselves
    }
}
