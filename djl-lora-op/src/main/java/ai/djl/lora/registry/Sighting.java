/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a folder or archive looked like at one moment, without reading it.
 *
 * @param fingerprint a hash over the names, sizes, times of change and identities of the files
 * @param lacking what it cannot be an adapter without, empty if nothing
 */
record Sighting(String fingerprint, Optional<String> lacking) {

    private static final String CONFIG = "adapter_config.json";

    /** How deep adapters nest; checkpoints may lie in folders of their own. */
    private static final int MAX_DEPTH = 4;

    private static final int MAX_FILES = 10_000;

    /** Returns what is there; fails if it changes so much meanwhile that it cannot be listed. */
    static Sighting of(Path path) throws IOException {
        StringBuilder lines = new StringBuilder();
        if (!Files.isDirectory(path)) {
            append(lines, path.subpath(path.getNameCount() - 1, path.getNameCount()), path);
            return new Sighting(hash(lines), Optional.empty());
        }
        List<Path> files;
        // adapters in a download cache are links to files elsewhere, and those are what counts
        try (Stream<Path> walk = Files.walk(path, MAX_DEPTH, FileVisitOption.FOLLOW_LINKS)) {
            files = walk.filter(file -> !file.equals(path)).limit(MAX_FILES + 1L).sorted().toList();
        }
        for (Path file : files) {
            append(lines, path.relativize(file), file);
        }
        return new Sighting(hash(lines), lacking(path, files));
    }

    private static Optional<String> lacking(Path path, List<Path> files) {
        if (files.size() > MAX_FILES) {
            return Optional.of("more than " + MAX_FILES + " files are no adapter");
        }
        if (!Files.isRegularFile(path.resolve(CONFIG))) {
            return Optional.of("there is no " + CONFIG);
        }
        return files.stream().filter(Files::isRegularFile).limit(2).count() < 2
                ? Optional.of("there is nothing besides " + CONFIG)
                : Optional.empty();
    }

    private static void append(StringBuilder lines, Path name, Path file) throws IOException {
        BasicFileAttributes found = Files.readAttributes(file, BasicFileAttributes.class);
        String text = name.toString();
        lines.append(text.length()).append(' ').append(text).append(' ');
        if (found.isDirectory()) {
            lines.append("directory\n"); // its time changes with each file in it, which is listed
        } else {
            lines.append(found.size()).append(' ').append(found.lastModifiedTime()).append(' ');
            lines.append(found.fileKey()).append('\n');
        }
    }

    private static String hash(StringBuilder lines) {
        try {
            byte[] text = lines.toString().getBytes(StandardCharsets.UTF_8);
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }
}
