/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.server.http.HttpFailure;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Fetches an adapter's files from a repository of the Hugging Face hub, by its HTTP interface: all
 * of one commit, also where a branch moves on meanwhile.
 */
final class HubSource implements RemoteSource {

    private static final Pattern SOURCE =
            Pattern.compile(
                    "hf:([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)"
                            + "(?:@([A-Za-z0-9._/-]{1,200}))?");

    /** What an adapter is made of; a repository may hold checkpoints and pictures too. */
    private static final Pattern FILES =
            Pattern.compile(
                    "adapter_[A-Za-z0-9._-]+|tokenizer[A-Za-z0-9._-]*|added_tokens\\.json"
                            + "|special_tokens_map\\.json|chat_template[A-Za-z0-9._-]*|vocab\\.json"
                            + "|merges\\.txt|[A-Za-z0-9_-][A-Za-z0-9._-]*\\.gguf");

    private static final int MAX_DESCRIPTION = 8 << 20;

    private final SourceOptions options;
    private final Downloads downloads;

    HubSource(SourceOptions options, Downloads downloads) {
        this.options = options;
        this.downloads = downloads;
    }

    /** {@inheritDoc} */
    @Override
    public boolean reads(String source) {
        return source.startsWith("hf:");
    }

    /** {@inheritDoc} */
    @Override
    public void check(String source) {
        if (!options.policy().allowsRepository(parsed(source).group(1))) {
            throw AdapterSources.refused(source);
        }
    }

    private static Matcher parsed(String source) {
        Matcher matcher = SOURCE.matcher(source);
        if (!matcher.matches() || source.contains("..")) {
            throw HttpFailure.badRequest(
                    "source",
                    "the source "
                            + Message.quote(source)
                            + " is not hf:organisation/name or hf:organisation/name@revision");
        }
        return matcher;
    }

    /** {@inheritDoc} */
    @Override
    public Path fetch(String source, Path folder) {
        Matcher parsed = parsed(source);
        String repository = parsed.group(1);
        String revision = parsed.group(2) == null ? "main" : parsed.group(2);
        FetchBudget budget = new FetchBudget(options);
        JsonObject described = describe(repository, revision, folder, budget);
        String commit = commit(described);
        List<String> names = names(described);
        if (names.isEmpty()) {
            throw new HttpFailure(
                    400,
                    "source_not_found",
                    "the repository " + repository + " holds no adapter's files",
                    "source",
                    Map.of(),
                    null);
        }
        for (String name : names) {
            URI uri = hub('/' + repository + "/resolve/" + commit + '/' + encoded(name));
            fetch(uri, folder.resolve(name), budget);
        }
        return folder;
    }

    private JsonObject describe(
            String repository, String revision, Path folder, FetchBudget budget) {
        Path file = folder.resolve("description");
        fetch(hub("/api/models/" + repository + "/revision/" + encoded(revision)), file, budget);
        try {
            return StrictJson.readObject(file, MAX_DESCRIPTION);
        } catch (LoraConfigurationException e) {
            throw notUnderstood(e);
        } finally {
            delete(file);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw notUnderstood(e);
        }
    }

    private static String commit(JsonObject described) {
        JsonElement sha = described.get("sha");
        if (sha == null || !sha.isJsonPrimitive() || !sha.getAsString().matches("[0-9a-f]{7,64}")) {
            throw notUnderstood(null);
        }
        return sha.getAsString();
    }

    private static List<String> names(JsonObject described) {
        if (!(described.get("siblings") instanceof JsonArray siblings)) {
            throw notUnderstood(null);
        }
        List<String> names = new ArrayList<>();
        for (JsonElement sibling : siblings) {
            JsonElement name =
                    sibling.isJsonObject() ? sibling.getAsJsonObject().get("rfilename") : null;
            if (!(name instanceof JsonPrimitive text) || !text.isString()) {
                throw notUnderstood(null);
            }
            // what lies in folders is further checkpoints
            if (FILES.matcher(text.getAsString()).matches()) {
                names.add(text.getAsString());
            }
        }
        return names;
    }

    private static HttpFailure notUnderstood(Throwable cause) {
        return new HttpFailure(
                502,
                "source_unavailable",
                "the hub's description of the repository is not what it must be",
                "source",
                Map.of(),
                cause);
    }

    private void fetch(URI uri, Path file, FetchBudget budget) {
        downloads.fetch(uri, options.hubToken().orElse(null), this::mayFollow, file, budget);
    }

    /* The hub keeps large files on hosts of its own. */
    private boolean mayFollow(URI uri) {
        String host = String.valueOf(uri.getHost()).toLowerCase(Locale.ROOT);
        boolean own =
                "huggingface.co".equals(options.hub().getHost())
                        && "https".equals(uri.getScheme())
                        && uri.getPort() < 0
                        && (host.endsWith(".huggingface.co") || host.endsWith(".hf.co"));
        return own || Downloads.isSameOrigin(options.hub(), uri) || options.policy().allows(uri);
    }

    private URI hub(String path) {
        String root = options.hub().toString();
        return URI.create(
                (root.endsWith("/") ? root.substring(0, root.length() - 1) : root) + path);
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        // the client's threads end by themselves
    }
}
