/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * How records lie in a file, all numbers big endian:
 *
 * <pre>
 * file    magic "djl-lora" (8)  version (4)  sequence (8)  snapshot bytes (8)  CRC32C of these (4)
 *         records that make up the snapshot, each with the file's sequence
 *         records of changes, numbered sequence + 1, sequence + 2, ...
 * record  'R' (1)  payload's length (4)  sequence (8)  CRC32C of these (4)
 *         payload  CRC32C of all before it in the record (4)  line break (1)
 * </pre>
 *
 * <p>The record's header has a checksum of its own, so that its length can be believed before the
 * payload is looked at. A record begins and ends with bytes that are not 0, and payloads have none:
 * a stretch of zeros is where a write did not arrive.
 */
final class RecordFormat {

    static final int FILE_HEADER = 32;
    static final int RECORD_HEADER = 17;
    static final int RECORD_TRAILER = 5;

    /** The longest payload, in bytes; a registration of 10,000 adapters at once is 10 MB. */
    static final int MAX_PAYLOAD = 1 << 28;

    private static final byte[] MAGIC = "djl-lora".getBytes(StandardCharsets.US_ASCII);
    private static final int VERSION = 1;
    static final byte START = 'R';
    private static final byte END = '\n';

    private RecordFormat() {}

    /** The header of a file. */
    record FileHeader(long sequence, long snapshotBytes) {}

    /** The header of a record. */
    record RecordHeader(int length, long sequence) {

        /** Returns how many bytes the record has with all that surrounds its payload. */
        long recordBytes() {
            return RECORD_HEADER + (long) length + RECORD_TRAILER;
        }
    }

    static byte[] fileHeader(FileHeader header) {
        ByteBuffer buffer = ByteBuffer.allocate(FILE_HEADER);
        buffer.put(MAGIC).putInt(VERSION).putLong(header.sequence);
        buffer.putLong(header.snapshotBytes);
        return buffer.putInt(crc(buffer.array(), buffer.position())).array();
    }

    /**
     * Returns a file's header.
     *
     * @throws DamageException if it is not one of this version
     */
    static FileHeader readFileHeader(byte[] bytes) throws DamageException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        byte[] magic = new byte[MAGIC.length];
        buffer.get(magic);
        if (!Arrays.equals(magic, MAGIC)) {
            throw new DamageException(0, "it does not begin with \"djl-lora\"");
        }
        int version = buffer.getInt();
        FileHeader header = new FileHeader(buffer.getLong(), buffer.getLong());
        if (buffer.getInt() != crc(bytes, FILE_HEADER - Integer.BYTES)) {
            throw new DamageException(0, "the checksum of its header does not match");
        }
        if (version != VERSION) {
            throw new DamageException(
                    0, "it has version " + version + ", this program reads version " + VERSION);
        }
        return header;
    }

    static byte[] record(long sequence, byte[] payload) {
        if (payload.length > MAX_PAYLOAD) {
            throw new IllegalArgumentException(
                    "A record of " + payload.length + " bytes, allowed are " + MAX_PAYLOAD);
        }
        ByteBuffer buffer = ByteBuffer.allocate(RECORD_HEADER + payload.length + RECORD_TRAILER);
        buffer.put(START).putInt(payload.length).putLong(sequence);
        buffer.putInt(crc(buffer.array(), buffer.position())).put(payload);
        return buffer.putInt(crc(buffer.array(), buffer.position())).put(END).array();
    }

    /** Returns a record's header that begins at an index, empty if there is none. */
    static Optional<RecordHeader> readRecordHeader(byte[] bytes, int index) {
        if (bytes.length - index < RECORD_HEADER || bytes[index] != START) {
            return Optional.empty();
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes, index + 1, RECORD_HEADER - 1);
        RecordHeader header = new RecordHeader(buffer.getInt(), buffer.getLong());
        CRC32C crc = new CRC32C();
        crc.update(bytes, index, RECORD_HEADER - Integer.BYTES);
        boolean valid =
                buffer.getInt() == (int) crc.getValue()
                        && header.length >= 0
                        && header.length <= MAX_PAYLOAD;
        return valid ? Optional.of(header) : Optional.empty();
    }

    /** Returns the payload of a whole record, empty if its checksum does not match. */
    static Optional<byte[]> readPayload(byte[] record) {
        int end = record.length - RECORD_TRAILER;
        int stored = ByteBuffer.wrap(record).getInt(end);
        if (record[record.length - 1] != END || stored != crc(record, end)) {
            return Optional.empty();
        }
        return Optional.of(Arrays.copyOfRange(record, RECORD_HEADER, end));
    }

    private static int crc(byte[] bytes, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, length);
        return (int) crc.getValue();
    }
}
