/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.examples.Chat;
import ai.djl.lora.examples.MixedBatch;
import ai.djl.lora.examples.Serving;
import ai.djl.lora.examples.Streaming;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What the documents show is what there is. */
public class DocumentationTest {

    private static final Path EXAMPLES =
            Repository.ROOT.resolve("examples/src/main/java/ai/djl/lora/examples");
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#:]+)\\)");

    @DataProvider
    public Object[][] examples() {
        return new Object[][] {
            {"README.md", MixedBatch.class},
            {"docs/chat.md", Chat.class},
            {"docs/translators.md", Streaming.class},
            {"docs/embedding.md", Serving.class},
        };
    }

    @Test(dataProvider = "examples")
    public void testADocumentShowsTheExample(String document, Class<?> example) throws IOException {
        String shown = block(document, "java");
        Assert.assertTrue(shown.lines().count() <= 30, "at most 30 lines");
        String source = Files.readString(EXAMPLES.resolve(example.getSimpleName() + ".java"));
        StringBuilder expected = new StringBuilder();
        source.lines()
                .filter(line -> line.startsWith("import "))
                .forEach(line -> expected.append(line).append('\n'));
        expected.append('\n');
        int start = source.indexOf("throws Exception {\n") + "throws Exception {\n".length();
        String body = source.substring(start, source.lastIndexOf("    }\n}")).stripTrailing();
        expected.append(body.stripIndent()).append('\n');
        Assert.assertEquals(shown, expected.toString());
    }

    @Test(dataProvider = "examples")
    public void testAnExamplePrintsWhatTheDocumentSays(String document, Class<?> example)
            throws Exception {
        Execution run = Execution.java(example, List.of(), Map.of()).assertExitCode(0);
        Assert.assertEquals(run.out(), block(document, "text"));
    }

    @Test
    public void testLinks() throws IOException {
        for (String name : List.of("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs")) {
            try (Stream<Path> files = Files.walk(Repository.ROOT.resolve(name))) {
                for (Path file : files.filter(f -> f.toString().endsWith(".md")).toList()) {
                    Matcher link = LINK.matcher(Files.readString(file));
                    while (link.find()) {
                        Path target = file.resolveSibling(link.group(1));
                        Assert.assertTrue(Files.exists(target), file + " links to " + target);
                    }
                }
            }
        }
    }

    /** Returns a document's first block of code in a language. */
    private static String block(String document, String language) throws IOException {
        Matcher block =
                Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
                        .matcher(Files.readString(Repository.ROOT.resolve(document)));
        Assert.assertTrue(block.find(), language);
        return block.group(1);
    }
}
