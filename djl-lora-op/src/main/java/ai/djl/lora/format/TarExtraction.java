/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;

/** Takes the files out of a tar archive, compressed by gzip or not. */
final class TarExtraction {

    /** Where a header says that it is one, and what it says, in each of tar's kinds. */
    private static final int MAGIC_OFFSET = 257;

    private static final byte[] MAGIC = "ustar".getBytes(StandardCharsets.US_ASCII);
    private static final int HEADER = 512;

    /** What the headers of one entry may take: a long name, or extended ones. */
    private static final int MAX_HEADERS = 1 << 18;

    private TarExtraction() {}

    /** Returns whether a header is one of a tar archive. */
    static boolean isHeader(byte[] start) {
        return start.length >= HEADER
                && Arrays.equals(
                        start, MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length, MAGIC, 0, MAGIC.length);
    }

    /** Extracts an archive. */
    static void extract(DataChannel archive, boolean gzip, FormatLimits limits, ArchiveSink sink) {
        ExtractionBudget budget = new ExtractionBudget(archive, limits);
        InputStream file = archive.newInputStream(0, archive.size());
        try (InputStream plain = budget.count(gzip ? new GZIPInputStream(file, 1 << 16) : file)) {
            byte[] start = plain.readNBytes(HEADER);
            if (!isHeader(start)) {
                throw archive.fail("expected a tar archive inside, found something else");
            }
            extract(
                    archive,
                    new SequenceInputStream(new ByteArrayInputStream(start), plain),
                    limits,
                    sink);
        } catch (IOException | IllegalArgumentException | IllegalStateException e) {
            throw new LoraConfigurationException(
                    archive.name() + ": not a whole tar archive: " + Message.brief(e), e);
        }
    }

    private static void extract(
            DataChannel archive, InputStream plain, FormatLimits limits, ArchiveSink sink)
            throws IOException {
        ArchiveNames names = new ArchiveNames(archive, limits);
        HeaderLimit limited = new HeaderLimit(archive, plain);
        try (TarArchiveInputStream tar = new TarArchiveInputStream(limited)) {
            TarArchiveEntry entry = limited.next(tar);
            while (entry != null) {
                String name = entry.getName();
                byte kind = entry.getLinkFlag();
                if (kind == TarConstants.LF_DIR) {
                    names.addFolder(name);
                } else if (kind != TarConstants.LF_NORMAL && kind != TarConstants.LF_OLDNORM
                        || entry.isSparse()) {
                    throw archive.fail(
                            "entry "
                                    + Message.quote(name)
                                    + " is a link, a device or a sparse file, expected files and"
                                    + " folders alone");
                } else {
                    sink.accept(names.addFile(name), uncloseable(tar));
                }
                entry = limited.next(tar);
            }
            // only the end of a compressed file tells that all of it is there
            limited.transferTo(OutputStream.nullOutputStream());
        }
    }

    /** The sink may close what it reads of one file, and not the archive. */
    private static InputStream uncloseable(InputStream stream) {
        return new FilterInputStream(stream) {

            @Override
            public void close() {
                // the archive goes on behind this file
            }
        };
    }

    /**
     * Bounds what is read of one entry's headers: the library keeps a long name and extended
     * headers in memory, however long they say that they are.
     */
    private static final class HeaderLimit extends FilterInputStream {

        private final DataChannel archive;
        private long left = Long.MAX_VALUE;

        HeaderLimit(DataChannel archive, InputStream stream) {
            super(stream);
            this.archive = archive;
        }

        /** Goes to the next entry; of the one before everything was read. */
        TarArchiveEntry next(TarArchiveInputStream tar) throws IOException {
            left = MAX_HEADERS;
            TarArchiveEntry entry = tar.getNextEntry();
            left = Long.MAX_VALUE;
            return entry;
        }

        @Override
        public int read() throws IOException {
            int value = super.read();
            take(value < 0 ? 0 : 1);
            return value;
        }

        @Override
        public int read(byte[] target, int offset, int count) throws IOException {
            int size = super.read(target, offset, (int) Math.min(count, Math.max(1, left)));
            take(Math.max(0, size));
            return size;
        }

        @Override
        public long skip(long count) throws IOException {
            long skipped = super.skip(count);
            take(skipped);
            return skipped;
        }

        private void take(long count) {
            left -= count;
            if (left < 0) {
                throw archive.fail(
                        "the headers of an entry have more than the allowed "
                                + MAX_HEADERS
                                + " bytes");
            }
        }
    }
}
