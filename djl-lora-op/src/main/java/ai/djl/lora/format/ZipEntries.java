/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;
import org.apache.commons.compress.archivers.zip.ZipMethod;

/** The entries of a zip archive, read from its directory, each name once. */
final class ZipEntries {

    private ZipEntries() {}

    /**
     * Reads the directory of an archive.
     *
     * @param file the archive, which stays open
     * @param maxBytes how many bytes may be read for it
     * @return the entries by name, in the directory's order
     */
    static Map<String, ZipArchiveEntry> read(DataChannel file, long maxBytes) {
        // the library keeps what it reads of entries: what it may read bounds what it takes
        Bounded channel = new Bounded(file.channel(), maxBytes);
        // closing the library's file would close the channel, which is not ours to close
        try (ZipFile zip = ZipFile.builder().setSeekableByteChannel(channel).get()) {
            return byName(file, Collections.list(zip.getEntries()));
        } catch (IOException | IllegalArgumentException | IllegalStateException e) {
            if (channel.left < 0) {
                throw new LoraConfigurationException(
                        file.name()
                                + ": the archive's directory takes more than the allowed "
                                + maxBytes
                                + " bytes",
                        e);
            }
            throw new LoraConfigurationException(
                    file.name() + ": not a whole zip archive: " + reason(e), e);
        }
    }

    /**
     * Returns where the bytes of an entry that is stored without compression begin.
     *
     * @param file the archive
     * @param entry the entry
     * @return the place in the file; all of the entry's bytes were checked to be in it
     */
    static long startOfStored(DataChannel file, ZipArchiveEntry entry) {
        String shown = "entry " + Message.quote(entry.getName());
        if (entry.getMethod() != ZipMethod.STORED.getCode()
                || entry.getGeneralPurposeBit().usesEncryption()
                || entry.getSize() != entry.getCompressedSize()) {
            throw file.fail(shown + " is compressed or encrypted, which torch.save does not do");
        }
        long start = entry.getDataOffset();
        if (start < 0 || entry.getSize() < 0 || entry.getSize() > file.size() - start) {
            throw file.fail(shown + " lies outside the file's " + file.size() + " bytes");
        }
        return start;
    }

    /** Returns what the library found wrong, without what it says of how it was called. */
    private static String reason(Throwable failure) {
        Throwable root = failure;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        return Message.brief(root);
    }

    private static Map<String, ZipArchiveEntry> byName(
            DataChannel file, Iterable<ZipArchiveEntry> entries) {
        Map<String, ZipArchiveEntry> byName = new LinkedHashMap<>();
        for (ZipArchiveEntry entry : entries) {
            if (byName.put(entry.getName(), entry) != null) {
                throw file.fail(
                        "the archive holds " + Message.quote(entry.getName()) + " more than once");
            }
        }
        return byName;
    }

    /** Ends reading after so many bytes, and does not close what it reads from. */
    private static final class Bounded implements SeekableByteChannel {

        private final SeekableByteChannel channel;
        private long left;
        private boolean open = true;

        Bounded(SeekableByteChannel channel, long left) {
            this.channel = channel;
            this.left = left;
        }

        @Override
        public int read(ByteBuffer target) throws IOException {
            int count = channel.read(target);
            left -= Math.max(0, count);
            if (left < 0) {
                throw new IOException("More was read than is allowed");
            }
            return count;
        }

        @Override
        public long position() throws IOException {
            return channel.position();
        }

        @Override
        public SeekableByteChannel position(long position) throws IOException {
            channel.position(position);
            return this;
        }

        @Override
        public long size() throws IOException {
            return channel.size();
        }

        @Override
        public int write(ByteBuffer source) throws IOException {
            throw new IOException("The file is open for reading");
        }

        @Override
        public SeekableByteChannel truncate(long size) throws IOException {
            throw new IOException("The file is open for reading");
        }

        @Override
        public boolean isOpen() {
            return open;
        }

        @Override
        public void close() {
            open = false;
        }
    }
}
