/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipMethod;

/** Takes the files out of a zip archive, stored or deflated ones, as its directory lists them. */
final class ZipExtraction {

    /** What an entry of the directory and its own header take, with long names. */
    private static final long ENTRY_BYTES = 512;

    /** What the search for the directory takes: a comment of 64 KiB may stand behind it. */
    private static final long SEARCH_BYTES = 1 << 19;

    private static final int TYPE = 0170000;
    private static final int REGULAR = 0100000;

    private ZipExtraction() {}

    /** Extracts an archive. */
    static void extract(DataChannel archive, FormatLimits limits, ArchiveSink sink) {
        long directory = ENTRY_BYTES * limits.maxEntries() + SEARCH_BYTES;
        Collection<ZipArchiveEntry> entries = ZipEntries.read(archive, directory).values();
        checkOverlaps(archive, entries);
        ArchiveNames names = new ArchiveNames(archive, limits);
        ExtractionBudget budget = new ExtractionBudget(archive, limits);
        for (ZipArchiveEntry entry : entries) {
            check(archive, entry);
            if (entry.isDirectory()) {
                names.addFolder(entry.getName());
            } else {
                extract(archive, entry, names.addFile(entry.getName()), budget, sink);
            }
        }
    }

    private static void check(DataChannel archive, ZipArchiveEntry entry) {
        int type = entry.getUnixMode() & TYPE;
        if (entry.isUnixSymlink() || type != 0 && type != REGULAR && !entry.isDirectory()) {
            throw fail(archive, entry, "is a link or a device, expected files and folders alone");
        }
        if (entry.getGeneralPurposeBit().usesEncryption()) {
            throw fail(archive, entry, "is encrypted");
        }
        if (entry.isDirectory()) {
            return;
        }
        int method = entry.getMethod();
        if (method != ZipMethod.STORED.getCode() && method != ZipMethod.DEFLATED.getCode()) {
            throw fail(
                    archive,
                    entry,
                    "is compressed by method " + method + ", allowed are stored and deflated");
        }
        long start = entry.getDataOffset();
        long size = entry.getCompressedSize();
        if (start < 0 || size < 0 || size > archive.size() - start) {
            throw fail(archive, entry, "lies outside the file's " + archive.size() + " bytes");
        }
    }

    private static void extract(
            DataChannel archive,
            ZipArchiveEntry entry,
            String name,
            ExtractionBudget budget,
            ArchiveSink sink) {
        CRC32 crc = new CRC32();
        long before = budget.used();
        Inflater inflater = new Inflater(true);
        try {
            InputStream raw =
                    archive.newInputStream(entry.getDataOffset(), entry.getCompressedSize());
            boolean deflated = entry.getMethod() == ZipMethod.DEFLATED.getCode();
            InputStream plain = deflated ? new InflaterInputStream(raw, inflater) : raw;
            sink.accept(name, new CheckedInputStream(budget.count(plain), crc));
            if (deflated && inflater.getBytesRead() != entry.getCompressedSize()) {
                throw fail(archive, entry, "has bytes behind its compressed data");
            }
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    archive.name()
                            + ": entry "
                            + Message.quote(entry.getName())
                            + " cannot be extracted: "
                            + Message.brief(e),
                    e);
        } finally {
            inflater.end();
        }
        long size = budget.used() - before;
        if (size != entry.getSize() || crc.getValue() != entry.getCrc()) {
            throw fail(archive, entry, "is damaged: its size or its checksum is another");
        }
    }

    /** Refuses archives in which one compressed part stands for many files. */
    private static void checkOverlaps(DataChannel archive, Collection<ZipArchiveEntry> entries) {
        List<ZipArchiveEntry> sorted = new ArrayList<>(entries);
        sorted.sort(Comparator.comparingLong(ZipArchiveEntry::getLocalHeaderOffset));
        long end = 0;
        for (ZipArchiveEntry entry : sorted) {
            if (entry.getLocalHeaderOffset() < end) {
                throw fail(archive, entry, "shares bytes with another entry");
            }
            end = entry.getDataOffset() + Math.max(0, entry.getCompressedSize());
        }
    }

    private static LoraConfigurationException fail(
            DataChannel archive, ZipArchiveEntry entry, String what) {
        return archive.fail("entry " + Message.quote(entry.getName()) + ' ' + what);
    }
}
