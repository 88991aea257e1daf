/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.model.ServedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** Uses the console in Chromium, by Playwright. */
public class ConsoleTest {

    private static final Path DEMO = Repository.ROOT.resolve("examples/demo");
    private static final Path SCRIPTS = Repository.ROOT.resolve("src/test/browser");

    @Test
    public void testAsAPersonUsesIt() throws Exception {
        String chromium = find("chromium", "chromium-browser", "google-chrome");
        String node = find("node");
        String npm = find("npm");
        Path folder = Files.createTempDirectory("djl-lora-browser");
        ServedModel model =
                ServedModel.load(
                        "demo",
                        DEMO.resolve("base"),
                        Map.of("dtype", "float32"),
                        SamplingParameters.greedy(32));
        for (String adapter : List.of("upper", "reverse")) {
            model.adapters().register(adapter, DEMO.resolve(adapter));
        }
        try (LoraServer server = LoraServer.builder().setModel(model).build().start()) {
            for (String file : List.of("package.json", "package-lock.json", "console.mjs")) {
                Files.copy(SCRIPTS.resolve(file), folder.resolve(file));
            }
            Execution.process(
                            folder,
                            Map.of(),
                            "",
                            List.of(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"))
                    .assertExitCode(0);
            Execution.process(
                            folder,
                            Map.of(),
                            "",
                            List.of(node, "console.mjs", server.uri().toString(), chromium))
                    .assertExitCode(0);
        } finally {
            delete(folder);
        }
    }

    private static String find(String... names) {
        for (String name : names) {
            for (String folder : System.getenv("PATH").split(":")) {
                Path file = Path.of(folder, name);
                if (Files.isExecutable(file)) {
                    return file.toString();
                }
            }
        }
        throw new SkipException("there is no " + String.join(" or ", names) + " on the PATH");
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(file);
            }
        }
    }
}
