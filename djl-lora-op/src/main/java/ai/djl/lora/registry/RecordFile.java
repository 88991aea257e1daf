/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraException;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.RecordFormat.FileHeader;
import ai.djl.lora.registry.RecordFormat.RecordHeader;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.Optional;

/**
 * Reads a file of records, and tells a write that was cut off from bytes that were changed.
 *
 * <p>At most one record is in flight when a process or a machine dies, and it is the last. Of it
 * there may be a beginning alone, or blocks that never reached the disk and read as zeros. That and
 * nothing else is torn. Whatever else does not add up is damage: the file is refused rather than
 * read up to there, since changes that were confirmed would be lost without a word.
 */
final class RecordFile {

    /** The unit in which disks write; what they did not write reads as zeros. */
    private static final int BLOCK = 512;

    private final RandomAccessFile file;
    private final long size;
    private FileHeader header;

    /**
     * Constructs a new {@code RecordFile} instance.
     *
     * @param file the open file; stays the caller's
     */
    RecordFile(RandomAccessFile file) throws IOException {
        this.file = file;
        this.size = file.length();
    }

    /** Is given the records of a file. */
    @FunctionalInterface
    interface Visitor {

        /**
         * Takes a record.
         *
         * @param sequence the record's number, or the file's if it belongs to the snapshot
         * @param payload its content
         * @throws LoraException or IllegalArgumentException if the content does not make sense
         */
        void visit(long sequence, byte[] payload);
    }

    /** Up to where a file is valid, and what comes there. */
    record End(long position, long sequence, FileHeader header) {}

    /**
     * Reads every record.
     *
     * @param visitor is given the records in their order
     * @return where the next record goes; what lies behind was cut off while it was written
     * @throws DamageException if the file is damaged
     */
    End read(Visitor visitor) throws IOException, DamageException {
        if (size < RecordFormat.FILE_HEADER) {
            throw new DamageException(0, "it has " + size + " bytes, less than a header");
        }
        header = RecordFormat.readFileHeader(bytes(0, RecordFormat.FILE_HEADER));
        long snapshotEnd = RecordFormat.FILE_HEADER + header.snapshotBytes();
        if (header.snapshotBytes() < 0 || snapshotEnd > size) {
            throw new DamageException(size, "it ends before its byte " + snapshotEnd);
        }
        long position = RecordFormat.FILE_HEADER;
        long sequence = header.sequence();
        while (position < size) {
            boolean snapshot = position < snapshotEnd;
            Optional<byte[]> payload = record(position, snapshot ? sequence : sequence + 1);
            if (payload.isEmpty()) {
                checkTorn(position, snapshotEnd);
                break;
            }
            if (!snapshot) {
                ++sequence;
            }
            try {
                visitor.visit(sequence, payload.get());
            } catch (LoraException | IllegalArgumentException e) {
                throw new DamageException(
                        position,
                        "change "
                                + sequence
                                + " is not as this program writes them: "
                                + Message.oneLine(String.valueOf(e.getMessage())));
            }
            position +=
                    RecordFormat.RECORD_HEADER
                            + (long) payload.get().length
                            + RecordFormat.RECORD_TRAILER;
            if (snapshot && position > snapshotEnd) {
                throw new DamageException(position, "a record reaches beyond the snapshot");
            }
        }
        return new End(position, sequence, header);
    }

    private Optional<byte[]> record(long position, long sequence)
            throws IOException, DamageException {
        Optional<RecordHeader> found = headerAt(position);
        if (found.isEmpty() || found.get().recordBytes() > size - position) {
            return Optional.empty();
        }
        Optional<byte[]> payload =
                RecordFormat.readPayload(bytes(position, (int) found.get().recordBytes()));
        if (payload.isPresent() && found.get().sequence() != sequence) {
            throw new DamageException(
                    position,
                    "record " + found.get().sequence() + " stands where " + sequence + " belongs");
        }
        return payload;
    }

    private Optional<RecordHeader> headerAt(long position) throws IOException {
        int length = (int) Math.min(RecordFormat.RECORD_HEADER, size - position);
        return RecordFormat.readRecordHeader(bytes(position, length), 0);
    }

    /** Throws unless a write that was cut off explains what begins at the position. */
    private void checkTorn(long position, long snapshotEnd) throws IOException, DamageException {
        if (position < snapshotEnd) {
            throw new DamageException(position, "a record's checksum does not match");
        }
        if (size - position > RecordFormat.MAX_PAYLOAD + 1024L) {
            throw new DamageException(position, "more than one record follows, and none is whole");
        }
        byte[] rest = bytes(position, (int) (size - position));
        for (int i = 1; i < rest.length; ++i) {
            if (RecordFormat.readRecordHeader(rest, i).isPresent()) {
                throw new DamageException(
                        position,
                        "a record's checksum does not match, and another record follows at byte "
                                + (position + i));
            }
        }
        Optional<RecordHeader> found = RecordFormat.readRecordHeader(rest, 0);
        long declared = found.map(RecordHeader::recordBytes).orElse((long) rest.length);
        if (declared < rest.length) {
            throw new DamageException(
                    position + declared, "bytes follow a record that belong to none");
        }
        boolean begun = declared > rest.length || isBeginningOfHeader(rest);
        if (!begun && !hasUnwrittenBlock(rest, position)) {
            throw new DamageException(
                    position, "the last record is all there, but its checksum does not match");
        }
    }

    private static boolean isBeginningOfHeader(byte[] rest) {
        return rest.length < RecordFormat.RECORD_HEADER && rest[0] == RecordFormat.START;
    }

    /** Returns whether one of the disk's blocks has nothing but zeros where the record lies. */
    private static boolean hasUnwrittenBlock(byte[] record, long position) {
        int start = 0;
        while (start < record.length) {
            int end = (int) Math.min(record.length, start + BLOCK - (position + start) % BLOCK);
            boolean zero = true;
            for (int i = start; i < end && zero; ++i) {
                zero = record[i] == 0;
            }
            if (zero) {
                return true;
            }
            start = end;
        }
        return false;
    }

    private byte[] bytes(long position, int length) throws IOException {
        byte[] bytes = new byte[length];
        file.seek(position);
        file.readFully(bytes);
        return bytes;
    }
}
