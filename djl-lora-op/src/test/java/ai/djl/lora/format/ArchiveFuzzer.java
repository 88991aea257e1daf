/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** Fuzzes archives: what comes out has a safe name, once, and is bounded. */
public final class ArchiveFuzzer {

    private ArchiveFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        FuzzExpectation.check(
                () -> {
                    try (DataChannel file = FuzzLimits.file(input)) {
                        extract(file);
                    }
                });
    }

    private static void extract(DataChannel file) {
        Path root = Path.of("/root");
        Set<Path> names = new HashSet<>();
        long[] total = new long[1];
        Archives.of(file)
                .extract(
                        file,
                        FuzzLimits.LIMITS,
                        (name, content) -> {
                            Path path = root.resolve(name).normalize();
                            FuzzExpectation.promise(
                                    path.startsWith(root) && !path.equals(root),
                                    "names stay in the folder");
                            FuzzExpectation.promise(names.add(path), "each name comes once");
                            byte[] buffer = new byte[4096];
                            int count = content.read(buffer);
                            while (count >= 0) {
                                total[0] += count;
                                FuzzExpectation.promise(
                                        total[0] <= FuzzLimits.LIMITS.expanded(file.size()),
                                        "what comes out is bounded");
                                count = content.read(buffer);
                            }
                        });
        FuzzExpectation.promise(
                names.size() <= FuzzLimits.LIMITS.maxEntries(), "entries are bounded");
    }
}
