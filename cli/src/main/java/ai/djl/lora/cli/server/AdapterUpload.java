/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** An adapter of this machine as an archive that can be sent. Closing deletes what was packed. */
final class AdapterUpload implements AutoCloseable {

    private final Path archive;
    private final boolean packed;

    private AdapterUpload(Path archive, boolean packed) {
        this.archive = archive;
        this.packed = packed;
    }

    /** Packs the files of a folder; an archive is sent as it is. */
    static AdapterUpload of(Path source) throws IOException {
        if (!Files.isDirectory(source)) {
            return new AdapterUpload(source, false);
        }
        Path archive = Files.createTempFile("djl-lora-", ".zip");
        boolean done = false;
        try {
            pack(source, archive);
            done = true;
            return new AdapterUpload(archive, true);
        } finally {
            if (!done) {
                Files.deleteIfExists(archive);
            }
        }
    }

    private static void pack(Path folder, Path archive) throws IOException {
        List<Path> files;
        try (Stream<Path> list = Files.list(folder)) {
            files = list.filter(file -> Files.isRegularFile(file)).sorted().toList();
        }
        try (OutputStream out = Files.newOutputStream(archive);
                ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Path file : files) {
                zip.putNextEntry(new ZipEntry(String.valueOf(file.getFileName())));
                Files.copy(file, zip);
                zip.closeEntry();
            }
        }
    }

    Path archive() {
        return archive;
    }

    @Override
    public void close() throws IOException {
        if (packed) {
            Files.deleteIfExists(archive);
        }
    }
}
