/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** A directory for one test, deleted with all that lies in it. */
public final class TempDirectory implements AutoCloseable {

    private final Path path;

    public TempDirectory() throws IOException {
        this(Files.createTempDirectory("djl-lora-test"));
    }

    private TempDirectory(Path path) {
        this.path = path;
    }

    /** Returns a directory without a disk behind it where there is one, for thousands of writes. */
    public static TempDirectory inMemory() throws IOException {
        Path memory = Path.of("/dev/shm");
        return Files.isWritable(memory)
                ? new TempDirectory(Files.createTempDirectory(memory, "djl-lora-test"))
                : new TempDirectory();
    }

    public Path path() {
        return path;
    }

    public Path write(String name, String text) throws IOException {
        return Files.writeString(path.resolve(name), text, StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(path)) {
            paths = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path each : paths) {
            Files.delete(each);
        }
    }
}
