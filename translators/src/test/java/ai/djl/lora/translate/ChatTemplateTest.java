/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Compares rendered conversations with those of transformers. */
public class ChatTemplateTest {

    private static final Path GOLDENS = Path.of("../src/test/resources/goldens/chat");

    /** When the goldens were rendered, as far as they know. */
    private static final Clock CLOCK =
            Clock.fixed(Instant.parse("2026-03-04T15:06:07Z"), ZoneOffset.UTC);

    private static final List<ChatMessage> HELLO = List.of(ChatMessage.user("Hello"));

    @DataProvider
    public Object[][] goldens() throws IOException {
        List<Object[]> goldens = new ArrayList<>();
        try (Stream<Path> folders = Files.list(GOLDENS)) {
            for (Path folder : folders.sorted(Comparator.naturalOrder()).toList()) {
                String cases = Files.readString(folder.resolve("rendered.json"));
                for (JsonElement each : JsonParser.parseString(cases).getAsJsonArray()) {
                    String name = each.getAsJsonObject().get("name").getAsString();
                    goldens.add(new Object[] {folder.getFileName() + " " + name, folder, each});
                }
            }
        }
        Assert.assertEquals(goldens.size(), 144);
        return goldens.toArray(Object[][]::new);
    }

    @Test(dataProvider = "goldens")
    public void testGolden(String label, Path folder, JsonObject golden) {
        ChatTemplate template = ChatTemplate.find(folder, CLOCK).orElseThrow();
        List<ChatMessage> messages = new ArrayList<>();
        // as they are: text arguments stay text, which the parser of requests would read
        for (JsonElement message : golden.getAsJsonArray("messages")) {
            Map<String, Object> fields = ChatFields.variables(message, "message");
            String role = (String) fields.remove("role");
            messages.add(new ChatMessage(role, fields));
        }
        List<Map<String, Object>> tools =
                golden.has("tools") ? ChatFields.tools(golden.get("tools")) : null;
        Map<String, Object> variables =
                golden.has("variables")
                        ? ChatFields.variables(golden.get("variables"), "variables")
                        : Map.of();
        boolean prompt = golden.get("add_generation_prompt").getAsBoolean();
        if (golden.has("text")) {
            Assert.assertEquals(
                    template.render(messages, tools, prompt, variables),
                    golden.get("text").getAsString(),
                    label);
            return;
        }
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> template.render(messages, tools, prompt, variables));
        boolean refused = golden.get("kind").getAsString().equals("TemplateError");
        Assert.assertEquals(
                e.getMessage().startsWith("the model's chat template refuses the messages: "),
                refused,
                e.getMessage());
        Assert.assertTrue(
                e.getMessage().endsWith(golden.get("error").getAsString()), e.getMessage());
        Assert.assertEquals(e.getMessage().contains(folder.toString()), !refused);
    }

    @Test
    public void testFilesComeBeforeTheConfiguration() throws IOException {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            Assert.assertEquals(ChatTemplate.find(folder.path()), Optional.empty());
            Path config = folder.path().resolve("tokenizer_config.json");
            Files.writeString(config, "{\"eos_token\": null, \"chat_template\": null}");
            Assert.assertEquals(ChatTemplate.find(folder.path()), Optional.empty());
            Files.writeString(
                    config,
                    "{\"bos_token\": {\"content\": \"<s>\"}, \"chat_template\": \"config\","
                            + " \"additional_special_tokens\": [\"<a>\", {\"content\": \"<b>\"}]}");
            Files.writeString(
                    folder.path().resolve("special_tokens_map.json"),
                    "{\"bos_token\": \"other\", \"eos_token\": {\"content\": \"</s>\"}}");
            Assert.assertEquals(render(folder, null), "config");
            Files.writeString(
                    folder.path().resolve("chat_template.jinja"),
                    "{{ bos_token }}{{ eos_token }}{{ additional_special_tokens | join }}file\n");
            Assert.assertEquals(render(folder, null), "<s></s><a><b>file");
            Path more = Files.createDirectory(folder.path().resolve("additional_chat_templates"));
            Files.writeString(more.resolve("tool_use.jinja"), "{{ tools | length }} tools");
            Assert.assertEquals(render(folder, List.of(Map.of())), "1 tools");
            Assert.assertEquals(render(folder, null), "<s></s><a><b>file");
            Files.delete(folder.path().resolve("chat_template.jinja"));
            assertFails(
                    () -> render(folder, null),
                    "the model has no chat template \"default\"; it has [tool_use]");
        }
    }

    private static String render(TemporaryFolder folder, List<Map<String, Object>> tools) {
        return ChatTemplate.find(folder.path()).orElseThrow().render(HELLO, tools, true, Map.of());
    }

    @DataProvider
    public Object[][] brokenConfigurations() {
        return new Object[][] {
            {"{\"chat_template\": 1}", ": chat_template is neither a text nor a list of named"},
            {"{\"chat_template\": [\"a\"]}", ": chat_template: each of the list needs the texts"},
            {
                "{\"chat_template\": [{\"name\": \"a\\nb\", \"template\": \"{{\"}]}",
                ": chat_template \"a\\u000ab\" is not a chat template: line 1: a tag is not closed"
            },
            {
                "{\"chat_template\": \"a\\n{% include 'b' %}\"}",
                ": chat_template is not a chat template: line 2: the tag 'include' is not supported"
            },
            {"{", ": the JSON ends too early"},
        };
    }

    @Test(dataProvider = "brokenConfigurations")
    public void testABrokenConfigurationIsNamed(String config, String message) throws IOException {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            Path file = folder.path().resolve("tokenizer_config.json");
            Files.writeString(file, config);
            assertFails(() -> ChatTemplate.find(folder.path()), file + message);
        }
    }

    @Test
    public void testAFailureNamesTheFileAndTheLine() throws IOException {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            Path file = folder.path().resolve("chat_template.jinja");
            Files.writeString(file, "a\nb {{ messages[0].content.nothing.more }}");
            assertFails(
                    () -> render(folder, null),
                    file
                            + ": the messages cannot be rendered: line 2: 'str object' has no"
                            + " attribute 'nothing'");
            Files.writeString(file, "{{ raise_exception('no\\nno ' ~ messages[0].content) }}");
            assertFails(
                    () -> render(folder, null),
                    "the model's chat template refuses the messages: no\\u000ano Hello");
        }
    }

    private static void assertFails(Assert.ThrowingRunnable runnable, String message) {
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, runnable);
        Assert.assertTrue(e.getMessage().startsWith(message), e.getMessage());
        Assert.assertEquals(e.getMessage().lines().count(), 1);
    }
}
