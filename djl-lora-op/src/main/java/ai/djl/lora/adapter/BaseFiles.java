/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
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

    private static final int MAX_BYTES = 64 << 20;
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
                            file(directory, "config.json")
                                    .flatMap(json -> text(json, "_name_or_path"))
                                    .ifPresent(names::add);
                        });
        return names;
    }

    private static String lastPart(String name) {
        String trimmed = name.replaceAll("[/\\\\]+$", "");
        return trimmed.substring(Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\')) + 1)
                .toLowerCase(Locale.ROOT);
    }

    /** Returns how tokenizers, added tokens and chat templates relate, if there is anything. */
    Optional<TokenizerComparison> compare() {
        if (policy.baseDirectory().isEmpty()) {
            return Optional.empty();
        }
        Path base = policy.baseDirectory().get();
        Optional<JsonObject> own = own(TOKENIZER);
        Optional<JsonObject> theirs = file(base, TOKENIZER);
        TokenizerComparison comparison =
                new TokenizerComparison(
                        relation(own, theirs),
                        relation(
                                addedTokens(own, own(ADDED_TOKENS)),
                                addedTokens(theirs, file(base, ADDED_TOKENS))),
                        relation(
                                template(files.file(TEMPLATE), own(TOKENIZER_CONFIG)),
                                template(
                                        Optional.of(base.resolve(TEMPLATE)).filter(Files::exists),
                                        file(base, TOKENIZER_CONFIG))));
        boolean nothing =
                comparison.tokenizer() == TokenizerComparison.Relation.ABSENT
                        && comparison.addedTokens() == TokenizerComparison.Relation.ABSENT
                        && comparison.chatTemplate() == TokenizerComparison.Relation.ABSENT;
        return nothing ? Optional.empty() : Optional.of(comparison);
    }

    private static <T> TokenizerComparison.Relation relation(Optional<T> own, Optional<T> theirs) {
        if (own.isEmpty()) {
            return TokenizerComparison.Relation.ABSENT;
        }
        if (theirs.isEmpty()) {
            return TokenizerComparison.Relation.ONLY_ADAPTER;
        }
        return own.equals(theirs)
                ? TokenizerComparison.Relation.SAME
                : TokenizerComparison.Relation.DIFFERENT;
    }

    /** Returns the numbers of the tokens that were added to the vocabulary, by their text. */
    private static Optional<Map<String, String>> addedTokens(
            Optional<JsonObject> tokenizer, Optional<JsonObject> list) {
        if (tokenizer.isEmpty() && list.isEmpty()) {
            return Optional.empty();
        }
        Map<String, String> tokens = new TreeMap<>();
        tokenizer
                .map(json -> json.get("added_tokens"))
                .filter(JsonElement::isJsonArray)
                .ifPresent(
                        array -> {
                            for (JsonElement element : array.getAsJsonArray()) {
                                if (element.isJsonObject()) {
                                    JsonObject token = element.getAsJsonObject();
                                    tokens.put(
                                            String.valueOf(token.get("content")),
                                            String.valueOf(token.get("id")));
                                }
                            }
                        });
        if (tokens.isEmpty()) {
            list.ifPresent(
                    json ->
                            json.asMap()
                                    .forEach(
                                            (text, id) ->
                                                    tokens.put('"' + text + '"', id.toString())));
        }
        return Optional.of(tokens);
    }

    private static Optional<String> template(Optional<Path> file, Optional<JsonObject> config) {
        if (file.isPresent()) {
            return Optional.of(readText(file.get()));
        }
        return config.map(json -> json.get("chat_template"))
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

    private Optional<JsonObject> own(String name) {
        return files.file(name).map(file -> StrictJson.readObject(file, MAX_BYTES));
    }

    private static Optional<JsonObject> file(Path directory, String name) {
        Path file = directory.resolve(name);
        return Files.exists(file)
                ? Optional.of(StrictJson.readObject(file, MAX_BYTES))
                : Optional.empty();
    }
}
