/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.TokenizerComparison.Relation;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Compares what lies beside an adapter's weights with the base model's files. */
final class BaseFiles {

    private static final int MAX_BYTES = 16 << 20;
    private static final String TOKENIZER = "tokenizer.json";
    private static final String ADDED_TOKENS = "added_tokens.json";
    private static final String TEMPLATE = "chat_template.jinja";
    private static final String TOKENIZER_CONFIG = "tokenizer_config.json";

    private final AdapterFiles files;
    private final LoadingPolicy policy;

    BaseFiles(AdapterFiles files, LoadingPolicy policy) {
        this.files = files;
        this.policy = policy;
    }

    /** Returns a warning if the adapter was trained on a model of another name. */
    List<Issue> checkName(PeftConfig config) {
        List<String> names = baseNames();
        String trained = config.baseModel().orElse("");
        if (trained.isEmpty()
                || names.isEmpty()
                || names.stream().anyMatch(name -> lastPart(name).equals(lastPart(trained)))) {
            return List.of();
        }
        return List.of(
                new Issue(
                        Severity.WARNING,
                        "config-base-model",
                        "base_model_name_or_path is "
                                + Message.quote(trained)
                                + ", the model here is "
                                + Message.quote(names.get(0))));
    }

    private List<String> baseNames() {
        List<String> names = new ArrayList<>();
        policy.baseModel().ifPresent(names::add);
        policy.baseDirectory()
                .ifPresent(
                        directory -> {
                            names.add(directory.toAbsolutePath().normalize().toString());
                            addHubNames(directory, names);
                            find(directory, "config.json")
                                    .map(BaseFiles::json)
                                    .flatMap(json -> text(json, "_name_or_path"))
                                    .ifPresent(names::add);
                        });
        return names;
    }

    /**
     * Adds what a model is called in the hub's cache, whose inner folders are named by revisions.
     */
    private static void addHubNames(Path directory, List<String> names) {
        for (Path part : directory.toAbsolutePath().normalize()) {
            if (part.toString().startsWith("models--")) {
                names.add(part.toString().replace("--", "/"));
            }
        }
    }

    private static String lastPart(String name) {
        String[] parts = name.replace('\\', '/').split("/");
        return (parts.length == 0 ? "" : parts[parts.length - 1]).toLowerCase(Locale.ROOT);
    }

    /**
     * Returns how tokenizers, added tokens and chat templates relate.
     *
     * @return the comparison; empty where there is nothing to compare
     * @throws LoraConfigurationException if a file is not what it must be
     */
    Optional<TokenizerComparison> compare() {
        // what lies beside a single file may be anybody's
        boolean single = files.directory().equals(files.source().toAbsolutePath().getParent());
        if (policy.baseDirectory().isEmpty() || single) {
            return Optional.empty();
        }
        Path base = policy.baseDirectory().get();
        Optional<TokenizerFile> own = files.file(TOKENIZER).map(TokenizerFile::read);
        Optional<TokenizerFile> theirs = find(base, TOKENIZER).map(TokenizerFile::read);
        TokenizerComparison comparison =
                new TokenizerComparison(
                        relation(own.map(TokenizerFile::hash), theirs.map(TokenizerFile::hash)),
                        relation(
                                addedTokens(own, files.file(ADDED_TOKENS)),
                                addedTokens(theirs, find(base, ADDED_TOKENS))),
                        relation(
                                template(files.file(TEMPLATE), files.file(TOKENIZER_CONFIG)),
                                template(find(base, TEMPLATE), find(base, TOKENIZER_CONFIG))));
        boolean nothing =
                comparison.tokenizer() == Relation.ABSENT
                        && comparison.addedTokens() == Relation.ABSENT
                        && comparison.chatTemplate() == Relation.ABSENT;
        return nothing ? Optional.empty() : Optional.of(comparison);
    }

    private static <T> Relation relation(Optional<T> own, Optional<T> theirs) {
        if (own.isEmpty()) {
            return Relation.ABSENT;
        }
        if (theirs.isEmpty()) {
            return Relation.ONLY_ADAPTER;
        }
        return own.equals(theirs) ? Relation.SAME : Relation.DIFFERENT;
    }

    /**
     * Returns the numbers of the added tokens, which older tokenizers keep in a file of their own.
     */
    private static Optional<Map<String, String>> addedTokens(
            Optional<TokenizerFile> tokenizer, Optional<Path> list) {
        if (tokenizer.isPresent()) {
            return tokenizer.map(TokenizerFile::addedTokens);
        }
        return list.map(
                file -> {
                    Map<String, String> tokens = new TreeMap<>();
                    json(file).asMap().forEach((text, id) -> tokens.put(text, id.toString()));
                    return tokens;
                });
    }

    private static Optional<String> template(Optional<Path> file, Optional<Path> config) {
        if (file.isPresent()) {
            return Optional.of(readText(file.get()));
        }
        return config.map(BaseFiles::json)
                .map(json -> json.get("chat_template"))
                .filter(element -> !element.isJsonNull())
                .map(
                        element ->
                                element.isJsonPrimitive()
                                        ? element.getAsString()
                                        : element.toString());
    }

    private static String readText(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new LoraConfigurationException(
                        Message.oneLine(file.toString())
                                + ": the file has "
                                + Files.size(file)
                                + " bytes, allowed are "
                                + MAX_BYTES);
            }
            return Files.readString(file);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString())
                            + ": cannot be read: "
                            + Message.oneLine(e.toString()),
                    e);
        }
    }

    private static Optional<String> text(JsonObject json, String name) {
        JsonElement value = json.get(name);
        return value != null && value.isJsonPrimitive()
                ? Optional.of(value.getAsString())
                : Optional.empty();
    }

    private static JsonObject json(Path file) {
        return StrictJson.readObject(file, MAX_BYTES);
    }

    private static Optional<Path> find(Path directory, String name) {
        return Optional.of(directory.resolve(name)).filter(Files::exists);
    }
}
