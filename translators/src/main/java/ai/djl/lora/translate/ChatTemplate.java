/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.translate.jinja.Template;
import ai.djl.lora.translate.jinja.TemplateException;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Makes a conversation into the text that a model was trained on, by the template in the model's
 * folder. It is the text of transformers' {@code apply_chat_template}.
 *
 * <p>The templates are {@code chat_template.jinja} and {@code additional_chat_templates/*.jinja};
 * without these files, {@code chat_template} of {@code tokenizer_config.json}, a text or a list of
 * texts with names. Of several, {@code tool_use} is used where functions are given and {@code
 * default} otherwise. The special tokens are variables under the names they have in {@code
 * tokenizer_config.json}, or else in {@code special_tokens_map.json}.
 *
 * <p>Instances are immutable and may be used by several threads.
 */
public final class ChatTemplate {

    private static final String CONFIG = "tokenizer_config.json";
    private static final String TEMPLATE = "chat_template";
    private static final String DEFAULT = "default";
    private static final String TOOL_USE = "tool_use";
    private static final int MAX_BYTES = 1 << 24;
    private static final int MAX_MESSAGE = 300;

    private static final List<String> SPECIAL_TOKENS =
            List.of(
                    "bos_token",
                    "eos_token",
                    "unk_token",
                    "sep_token",
                    "pad_token",
                    "cls_token",
                    "mask_token");

    private final Map<String, Source> templates;
    private final Map<String, Object> specialTokens;
    private final Clock clock;

    private ChatTemplate(
            Map<String, Source> templates, Map<String, Object> specialTokens, Clock clock) {
        this.templates = templates;
        this.specialTokens = specialTokens;
        this.clock = clock;
    }

    /**
     * Reads the chat template of a model.
     *
     * @param folder the model's folder
     * @return the template; empty if the model has none
     * @throws LoraConfigurationException if a file is broken, or a template is none
     */
    public static Optional<ChatTemplate> find(Path folder) {
        return find(folder, Clock.systemDefaultZone());
    }

    static Optional<ChatTemplate> find(Path folder, Clock clock) {
        JsonObject config = readIfThere(folder.resolve(CONFIG));
        Map<String, Source> templates = readFiles(folder);
        if (templates.isEmpty()) {
            templates = readConfig(folder.resolve(CONFIG), config.get(TEMPLATE));
        }
        if (templates.isEmpty()) {
            return Optional.empty();
        }
        JsonObject map = readIfThere(folder.resolve("special_tokens_map.json"));
        Map<String, Object> tokens = new LinkedHashMap<>();
        for (String name : SPECIAL_TOKENS) {
            Object token = token(config.get(name));
            Object given = token == null ? token(map.get(name)) : token;
            if (given != null) {
                tokens.put(name, given);
            }
        }
        for (JsonObject file : List.of(map, config)) {
            JsonElement more = file.get("additional_special_tokens");
            if (more != null && more.isJsonArray()) {
                tokens.put(
                        "additional_special_tokens",
                        more.getAsJsonArray().asList().stream()
                                .map(ChatTemplate::token)
                                .filter(Objects::nonNull)
                                .toList());
            }
        }
        return Optional.of(new ChatTemplate(templates, tokens, clock));
    }

    /**
     * Makes a conversation into text.
     *
     * @param messages the conversation
     * @param tools the functions that the model may call; null for none, which some templates tell
     *     from an empty list
     * @param addGenerationPrompt whether the text ends with the beginning of the model's answer
     * @param variables further variables; they may stand for those of the special tokens too
     * @return the text, special tokens included
     * @throws LoraConfigurationException if the template fails, or refuses the messages
     */
    public String render(
            List<ChatMessage> messages,
            List<Map<String, Object>> tools,
            boolean addGenerationPrompt,
            Map<String, Object> variables) {
        Map<String, Object> all = new LinkedHashMap<>(specialTokens);
        all.putAll(variables);
        all.put("messages", messages.stream().map(ChatMessage::toMap).toList());
        all.put("tools", tools);
        all.put("documents", variables.get("documents"));
        all.put("add_generation_prompt", addGenerationPrompt);
        Source source = choose(tools != null);
        try {
            return source.template.render(all, Template.Limits.STANDARD, clock);
        } catch (TemplateException e) {
            String message = brief(e);
            throw new LoraConfigurationException(
                    e.isRefusal()
                            ? "the model's chat template refuses the messages: " + message
                            : source.place + ": the messages cannot be rendered: " + message,
                    e);
        }
    }

    private Source choose(boolean tools) {
        Source chosen = tools ? templates.get(TOOL_USE) : null;
        chosen = chosen == null ? templates.get(DEFAULT) : chosen;
        if (chosen == null) {
            throw new LoraConfigurationException(
                    "the model has no chat template \"default\"; it has " + templates.keySet());
        }
        return chosen;
    }

    private static Map<String, Source> readFiles(Path folder) {
        Map<String, Source> templates = new TreeMap<>();
        Path single = folder.resolve(TEMPLATE + ".jinja");
        if (Files.exists(single)) {
            templates.put(DEFAULT, parse(single.toString(), readText(single)));
        }
        Path more = folder.resolve("additional_chat_templates");
        if (Files.isDirectory(more)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(more, "*.jinja")) {
                for (Path file : files) {
                    String name = more.relativize(file).toString().replaceFirst("\\.jinja$", "");
                    templates.put(name, parse(file.toString(), readText(file)));
                }
            } catch (IOException e) {
                throw new LoraConfigurationException(
                        Message.oneLine(more.toString()) + " cannot be read: " + Message.brief(e),
                        e);
            }
        }
        return templates;
    }

    private static Map<String, Source> readConfig(Path file, JsonElement element) {
        Map<String, Source> templates = new TreeMap<>();
        String place = Message.oneLine(file.toString()) + ": " + TEMPLATE;
        if (element == null || element.isJsonNull()) {
            return templates;
        }
        if (isText(element)) {
            templates.put(DEFAULT, parse(place, element.getAsString()));
            return templates;
        }
        if (!element.isJsonArray()) {
            throw new LoraConfigurationException(
                    place + " is neither a text nor a list of named templates");
        }
        for (JsonElement each : element.getAsJsonArray()) {
            if (!each.isJsonObject()
                    || !isText(each.getAsJsonObject().get("name"))
                    || !isText(each.getAsJsonObject().get("template"))) {
                throw new LoraConfigurationException(
                        place + ": each of the list needs the texts name and template");
            }
            String name = each.getAsJsonObject().get("name").getAsString();
            templates.put(
                    name,
                    parse(
                            place + " " + Message.quote(name),
                            each.getAsJsonObject().get("template").getAsString()));
        }
        return templates;
    }

    private static Source parse(String place, String text) {
        try {
            return new Source(Message.oneLine(place), Template.parse(text));
        } catch (TemplateException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(place) + " is not a chat template: " + brief(e), e);
        }
    }

    private static String readText(Path file) {
        try {
            long size = Files.size(file);
            if (size > MAX_BYTES) {
                throw new LoraConfigurationException(
                        Message.oneLine(file.toString())
                                + " has "
                                + size
                                + " bytes, allowed are "
                                + MAX_BYTES);
            }
            return StrictJson.decode(ByteBuffer.wrap(Files.readAllBytes(file)));
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString()) + " cannot be read: " + Message.brief(e), e);
        }
    }

    private static JsonObject readIfThere(Path file) {
        return Files.exists(file) ? StrictJson.readObject(file, MAX_BYTES) : new JsonObject();
    }

    /** Returns a special token's text, which is given as such or as an object; null if not. */
    private static Object token(JsonElement element) {
        JsonElement content =
                element != null && element.isJsonObject()
                        ? element.getAsJsonObject().get("content")
                        : element;
        return isText(content) ? content.getAsString() : null;
    }

    private static boolean isText(JsonElement element) {
        return element != null
                && element.isJsonPrimitive()
                && element.getAsJsonPrimitive().isString();
    }

    private static String brief(TemplateException e) {
        String message = e.getMessage();
        return Message.oneLine(
                message.length() <= MAX_MESSAGE
                        ? message
                        : message.substring(0, MAX_MESSAGE) + "...");
    }

    /** A template and where it stands. */
    private record Source(String place, Template template) {}
}
