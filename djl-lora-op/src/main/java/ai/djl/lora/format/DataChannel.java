/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The bytes of one file, read at given places. Several threads may read at once; they take turns.
 */
final class DataChannel implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(DataChannel.class);

    /** The JVM's largest array, by the margin that its own collections keep. */
    private static final long MAX_ARRAY = Integer.MAX_VALUE - 8L;

    /** How much is read at once, and handed on at once. */
    private static final int CHUNK = 1 << 20;

    private final String name;
    private final SeekableByteChannel channel;
    private final long size;

    /**
     * Constructs a new {@code DataChannel} instance, which owns the channel.
     *
     * @param name what to call it in messages
     * @param channel the bytes
     */
    DataChannel(String name, SeekableByteChannel channel) {
        this.name = name;
        this.channel = channel;
        try {
            size = channel.size();
        } catch (IOException e) {
            throw cannotRead(e);
        }
    }

    /** Opens a regular file. */
    static DataChannel open(Path file) {
        String name = Message.oneLine(file.toString());
        try {
            return new DataChannel(name, FileChannel.open(file, StandardOpenOption.READ));
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    name + ": cannot be read: " + Message.oneLine(e.toString()), e);
        }
    }

    /** Returns what the file is called in messages. */
    String name() {
        return name;
    }

    /** Returns the size that the file had when it was opened, in bytes. */
    long size() {
        return size;
    }

    /** Returns the channel itself, for a library that reads a format of it while it is opened. */
    SeekableByteChannel channel() {
        return channel;
    }

    /** Reads bytes into memory of the caller's. */
    byte[] read(long offset, long length) {
        checkArray(length);
        ByteBuffer data = ByteBuffer.allocate((int) length);
        for (long done = 0; done < length; done += CHUNK) {
            // a channel keeps a direct buffer as large as the largest request for the thread
            readFully(offset + done, data.limit((int) Math.min(length, done + CHUNK)));
        }
        return data.array();
    }

    /** Refuses what does not fit into an array. */
    void checkArray(long length) {
        if (length > MAX_ARRAY) {
            throw fail(
                    "a single tensor has "
                            + length
                            + " bytes, a single tensor may have "
                            + MAX_ARRAY);
        }
    }

    /** Hands bytes on in pieces of at most 1 MiB, read-only and little endian. */
    void stream(long offset, long length, Consumer<ByteBuffer> chunks) {
        ByteBuffer chunk = ByteBuffer.allocate((int) Math.min(CHUNK, length));
        for (long done = 0; done < length; done += CHUNK) {
            chunk.clear().limit((int) Math.min(CHUNK, length - done));
            readFully(offset + done, chunk);
            chunks.accept(chunk.flip().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN));
        }
    }

    /** Hands bytes on that are in memory, as {@link #stream} does. */
    static void streamArray(byte[] data, Consumer<ByteBuffer> chunks) {
        for (int done = 0; done < data.length; done += CHUNK) {
            ByteBuffer chunk = ByteBuffer.wrap(data, done, Math.min(CHUNK, data.length - done));
            chunks.accept(chunk.slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN));
        }
    }

    /**
     * Returns a part of the file as a stream, for a decompressor to read.
     *
     * @param offset where the part begins
     * @param length how many bytes it has
     */
    InputStream newInputStream(long offset, long length) {
        return new InputStream() {

            private long next = offset;

            @Override
            public int read() {
                byte[] single = new byte[1];
                return read(single, 0, 1) < 0 ? -1 : single[0] & 0xff;
            }

            @Override
            public int read(byte[] target, int start, int count) {
                int size = (int) Math.min(count, offset + length - next);
                if (size == 0) {
                    return count == 0 ? 0 : -1;
                }
                readFully(next, ByteBuffer.wrap(target, start, size));
                next += size;
                return size;
            }
        };
    }

    /** Fills a buffer up to its limit. */
    void readFully(long offset, ByteBuffer target) {
        long at = offset;
        try {
            synchronized (channel) {
                channel.position(offset);
                while (target.hasRemaining()) {
                    int count = channel.read(target);
                    if (count < 0) {
                        throw fail(
                                "the file ends at byte "
                                        + at
                                        + ", though it had "
                                        + size
                                        + " bytes when it was opened");
                    }
                    at += count;
                }
            }
        } catch (IOException e) {
            throw cannotRead(e);
        }
    }

    /** Returns a failure that names the file. */
    LoraConfigurationException fail(String what) {
        return new LoraConfigurationException(name + ": " + what);
    }

    /** Returns the failure of reading the file. */
    LoraConfigurationException cannotRead(Exception cause) {
        return new LoraConfigurationException(
                name + ": cannot be read: " + Message.oneLine(cause.toString()), cause);
    }

    /** Closes the file. */
    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            // nothing was written, so nothing can be lost; the caller could do nothing about it
            logger.debug("Closing a file that was only read failed", e);
        }
    }
}
