/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.Test;
import picocli.CommandLine;

/** Keeps docs/cli.md as the help texts are. */
public class CliDocumentationTest {

    private static final Path FILE = Path.of("..", "docs", "cli.md");

    @Test
    public void testFileIsCurrent() throws IOException {
        String expected = documentation();
        if (Boolean.getBoolean("djl.lora.writeDocs")) {
            Files.writeString(FILE, expected);
        }
        Assert.assertEquals(
                Files.readString(FILE),
                expected,
                FILE
                        + " is not what the help texts are; CONTRIBUTING.md says how to write it anew");
    }

    private static String documentation() {
        CommandLine root = new DjlLora().commandLine();
        StringBuilder text = new StringBuilder();
        text.append("# The command line\n\n")
                .append(
                        "<!-- Made of the help texts by CliDocumentationTest; see CONTRIBUTING.md. -->\n\n")
                .append(
                        "`bin/djl-lora` builds what is missing when it is first called and when sources"
                                + " have changed, and then runs the command. It uses the JDK in `JAVA_HOME`,"
                                + " or the `java` on the `PATH`, and passes `JAVA_OPTS` to it. Results go to"
                                + " standard output, messages to standard error; progress is told only where"
                                + " standard error is a terminal.\n\n");
        append("djl-lora", root, text);
        return text.toString();
    }

    private static void append(String name, CommandLine command, StringBuilder text) {
        String usage = command.getUsageMessage(CommandLine.Help.Ansi.OFF);
        if (!text.toString().endsWith("\n\n")) {
            text.append('\n');
        }
        text.append("## ")
                .append(name)
                .append("\n\n```text\n")
                .append(
                        usage.lines()
                                .map(line -> line.stripTrailing() + '\n')
                                .reduce("", String::concat))
                .append("```\n");
        for (Map.Entry<String, CommandLine> child : command.getSubcommands().entrySet()) {
            append(name + " " + child.getKey(), child.getValue(), text);
        }
    }
}
