/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;

/** Reads the small text files in which the Linux kernel keeps its numbers. */
final class ProcFiles {

    /** The unit of the files of {@code /proc}. */
    static final long KIB = 1024;

    private ProcFiles() {}

    /** Returns the directory in which the kernel's {@code proc} and {@code sys} lie. */
    static Path systemRoot() {
        return FileSystems.getDefault().getRootDirectories().iterator().next();
    }

    static String text(Path file) throws IOException {
        return Files.readString(file).strip();
    }

    static long number(Path file) throws IOException {
        return number(file, text(file));
    }

    /**
     * Reads a file of lines "name number", with a colon behind the name and a unit behind the
     * number where the file has them. Other lines are left out.
     *
     * @param file the file
     * @return the numbers, in the file's unit
     * @throws IOException if the file cannot be read
     */
    static Map<String, Long> fields(Path file) throws IOException {
        Map<String, Long> fields = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            String[] parts = line.strip().split("\\s+");
            if (parts.length >= 2 && parts[1].matches("\\d{1,18}")) {
                fields.put(parts[0].replaceFirst(":$", ""), Long.parseLong(parts[1]));
            }
        }
        return fields;
    }

    /**
     * Reads one line of such a file.
     *
     * @param file the file
     * @param field the line's name
     * @return the number, in the file's unit
     * @throws IOException if the file cannot be read or has no such line
     */
    static long field(Path file, String field) throws IOException {
        Long value = fields(file).get(field);
        if (value == null) {
            throw new IOException(file + " has no " + field);
        }
        return value;
    }

    /**
     * Reads how much of this process lies in memory, mapped files included.
     *
     * @param root the directory in which {@code proc} lies
     * @return the resident set in bytes; empty where the system does not tell
     * @throws IOException if it cannot be read
     */
    static OptionalLong residentSet(Path root) throws IOException {
        Path status = root.resolve("proc/self/status");
        return Files.isReadable(status)
                ? OptionalLong.of(field(status, "VmRSS") * KIB)
                : OptionalLong.empty();
    }

    private static long number(Path file, String text) throws IOException {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new IOException(file + " holds \"" + text + "\", which is no number", e);
        }
    }
}
