/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.testng.SkipException;

/** Where things lie in the repository. */
final class Repository {

    /** The repository's root; tests run in the folder of their module, src/test. */
    static final Path ROOT = Path.of("..", "..").toAbsolutePath().normalize();

    static final Path GOLDENS = ROOT.resolve("src/test/resources/goldens");

    static final Path DEMO = ROOT.resolve("examples/demo");

    private Repository() {}

    /** Returns the folders in a folder, sorted. */
    static List<Path> folders(Path parent) throws IOException {
        try (Stream<Path> files = Files.list(parent)) {
            return files.filter(Files::isDirectory).sorted().collect(Collectors.toList());
        }
    }

    /** Skips a test of packaged files where {@code mvn test} packaged none. */
    static void requirePackaged() {
        if (!Files.exists(ROOT.resolve("cli/target/djl-lora.stamp"))) {
            throw new SkipException("the modules are not packaged; mvn verify does that");
        }
    }
}
