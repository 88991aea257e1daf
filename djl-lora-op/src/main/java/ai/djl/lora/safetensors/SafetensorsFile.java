/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file in the safetensors format: 8 bytes with the header's length, the header in JSON, the
 * tensors' bytes, all little endian.
 *
 * <p>Opening checks the header whole before anything is believed: lengths within the file, known
 * types, shapes that agree with the bytes, each byte of the data in exactly one tensor, no name
 * twice. Files of more than 2 GiB work; a single tensor must be smaller than that. Instances may be
 * used by several threads at once.
 *
 * @see <a href="https://huggingface.co/docs/safetensors">the format</a>
 */
public final class SafetensorsFile implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(SafetensorsFile.class);

    /** The longest header that the format allows. */
    static final long MAX_HEADER = 100_000_000;

    /** The JVM's largest array, by the margin that its own collections keep. */
    private static final long MAX_TENSOR = Integer.MAX_VALUE - 8L;

    /**
     * How much is read at once. A channel copies into a heap array through a direct buffer as large
     * as the request, which it then keeps for the thread.
     */
    private static final int CHUNK = 256 << 10;

    private final Path path;
    private final FileChannel channel;

    /** What a tensor was read into last, for the next one. */
    private final AtomicReference<ByteBuffer> spareChunk = new AtomicReference<>();

    private final Map<String, TensorInfo> tensors;
    private final Map<String, String> metadata;

    private SafetensorsFile(Path path, FileChannel channel, SafetensorsHeader header) {
        this.path = path;
        this.channel = channel;
        this.tensors = header.tensors();
        this.metadata = header.metadata();
    }

    /**
     * Opens a file and checks its header.
     *
     * @param file the file
     * @return the open file, to be closed by the caller
     * @throws LoraConfigurationException if the file is missing, cannot be read or is not a whole
     *     safetensors file
     */
    public static SafetensorsFile open(Path file) {
        return open(file, MAX_HEADER);
    }

    /**
     * Opens a file whose header may have only so many bytes, and checks its header.
     *
     * @param file the file
     * @param maxHeader how many bytes the header may have; the format allows 100,000,000
     * @return the open file, to be closed by the caller
     * @throws LoraConfigurationException if the file is missing, cannot be read or is not a whole
     *     safetensors file
     */
    static SafetensorsFile open(Path file, long maxHeader) {
        String name = Message.oneLine(file.toString());
        if (Files.isDirectory(file)) {
            throw new LoraConfigurationException(name + ": expected a file, found a directory");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            // opening a pipe would wait for whoever writes into it
            throw new LoraConfigurationException(
                    name + ": expected a file, found a device or a pipe");
        }
        FileChannel channel = null;
        SafetensorsFile result = null;
        try {
            channel = FileChannel.open(file, StandardOpenOption.READ);
            result = new SafetensorsFile(file, channel, readHeader(name, channel, maxHeader));
            return result;
        } catch (NoSuchFileException e) {
            throw new LoraConfigurationException(name + ": there is no such file", e);
        } catch (IOException e) {
            throw cannotRead(name, e);
        } finally {
            if (channel != null && result == null) {
                closeQuietly(channel);
            }
        }
    }

    /**
     * Returns the file's path.
     *
     * @return the path that the file was opened by
     */
    public Path path() {
        return path;
    }

    /**
     * Returns the tensors of this file.
     *
     * @return the tensors by name, in the order of their bytes in the file, unmodifiable
     */
    public Map<String, TensorInfo> tensors() {
        return tensors;
    }

    /**
     * Returns what the writer noted of the file.
     *
     * @return the header's {@code __metadata__}, unmodifiable
     */
    public Map<String, String> metadata() {
        return metadata;
    }

    /**
     * Returns a tensor's description.
     *
     * @param name the tensor's name
     * @return the description
     * @throws LoraConfigurationException if the file has no such tensor
     */
    public TensorInfo tensor(String name) {
        TensorInfo tensor = tensors.get(name);
        if (tensor == null) {
            throw new LoraConfigurationException(
                    name(path)
                            + ": there is no tensor "
                            + Message.quote(name)
                            + " among its "
                            + tensors.size());
        }
        return tensor;
    }

    /**
     * Reads a tensor into memory of its own.
     *
     * @param tensor a tensor of this file
     * @return its bytes, little endian, rows behind one another
     * @throws LoraConfigurationException if the tensor has 2 GiB or more, or the file has become
     *     shorter since it was opened, or cannot be read
     */
    public byte[] read(TensorInfo tensor) {
        checkReachable(tensor);
        byte[] data = new byte[(int) tensor.size()];
        int done = 0;
        try {
            while (done < data.length) {
                ByteBuffer chunk = ByteBuffer.wrap(data, done, Math.min(CHUNK, data.length - done));
                int count = channel.read(chunk, tensor.offset() + done);
                if (count < 0) {
                    throw shrunk(tensor, tensor.offset() + done);
                }
                done += count;
            }
        } catch (IOException e) {
            throw cannotRead(name(path), e);
        }
        return data;
    }

    /**
     * Hands a tensor's bytes on in pieces, in their order, so that a tensor of any size takes
     * little memory.
     *
     * @param tensor a tensor of this file
     * @param chunks takes read-only, little-endian buffers of at most 256 KiB, each valid during
     *     its call alone
     * @throws LoraConfigurationException if the file has become shorter since it was opened, or
     *     cannot be read
     */
    public void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks) {
        checkOwn(tensor);
        // a direct one, or the channel would read into one of its own and copy
        ByteBuffer chunk = spareChunk.getAndSet(null);
        int needed = (int) Math.min(CHUNK, tensor.size());
        if (chunk == null || chunk.capacity() < needed) {
            chunk = ByteBuffer.allocateDirect(needed);
        }
        long done = 0;
        try {
            while (done < tensor.size()) {
                chunk.clear().limit((int) Math.min(chunk.capacity(), tensor.size() - done));
                int count = channel.read(chunk, tensor.offset() + done);
                if (count < 0) {
                    throw shrunk(tensor, tensor.offset() + done);
                }
                done += count;
                chunks.accept(
                        chunk.flip().asReadOnlyBuffer().slice().order(ByteOrder.LITTLE_ENDIAN));
            }
        } catch (IOException e) {
            throw cannotRead(name(path), e);
        }
        spareChunk.set(chunk);
    }

    /**
     * Maps a tensor into memory.
     *
     * <p>The file must not change while the buffer is in use: reading a part of it that has been
     * cut off ends the process. This is for base weights; adapters are {@link #read}.
     *
     * @param tensor a tensor of this file
     * @return a direct, read-only, little-endian buffer over just this tensor; it stays valid after
     *     this file is closed, until it is no longer reachable
     * @throws LoraConfigurationException if the tensor has 2 GiB or more, or the file has become
     *     shorter since it was opened, or cannot be mapped
     */
    public ByteBuffer map(TensorInfo tensor) {
        checkReachable(tensor);
        try {
            long size = channel.size();
            if (size < tensor.offset() + tensor.size()) {
                throw shrunk(tensor, size);
            }
            return channel.map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.size())
                    .order(ByteOrder.LITTLE_ENDIAN);
        } catch (IOException e) {
            throw cannotRead(name(path), e);
        }
    }

    /** Closes the file. Buffers that were mapped stay valid. */
    @Override
    public void close() {
        closeQuietly(channel);
    }

    /**
     * Reads and checks the header of what a channel holds.
     *
     * @param name what to call it in messages
     * @param channel the file's bytes
     * @param maxHeader how many bytes the header may have
     * @return the header
     * @throws IOException if the channel cannot be read
     */
    static SafetensorsHeader readHeader(String name, SeekableByteChannel channel, long maxHeader)
            throws IOException {
        long fileSize = channel.size();
        if (fileSize < Long.BYTES) {
            throw new LoraConfigurationException(
                    name
                            + ": the file has "
                            + fileSize
                            + " bytes, but a safetensors file has at least 8");
        }
        ByteBuffer length = readFully(name, channel, 0, Long.BYTES);
        long headerSize = length.order(ByteOrder.LITTLE_ENDIAN).getLong(0);
        long allowed = Math.min(maxHeader, fileSize - Long.BYTES);
        if (headerSize < 0 || headerSize > allowed) {
            throw new LoraConfigurationException(
                    name
                            + ": the header's length is "
                            + Long.toUnsignedString(headerSize)
                            + " bytes, allowed are at most "
                            + allowed
                            + " in a file of "
                            + fileSize);
        }
        String json;
        try {
            json = StrictJson.decode(readFully(name, channel, Long.BYTES, (int) headerSize));
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException(name + ": the header is not UTF-8", e);
        }
        long dataStart = Long.BYTES + headerSize;
        return new SafetensorsHeader(name, json, dataStart, fileSize - dataStart);
    }

    private static ByteBuffer readFully(
            String name, SeekableByteChannel channel, long position, int size) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(size);
        channel.position(position);
        while (data.hasRemaining()) {
            int done = data.position();
            data.limit(Math.min(size, done + CHUNK));
            if (channel.read(data) < 0) {
                throw new LoraConfigurationException(
                        name
                                + ": the file ended at byte "
                                + (position + done)
                                + " while it was read");
            }
            data.limit(size);
        }
        return data.flip();
    }

    private void checkOwn(TensorInfo tensor) {
        if (tensors.get(tensor.name()) != tensor) {
            throw new IllegalArgumentException(
                    "The tensor " + tensor + " is none of the file " + name(path));
        }
    }

    private void checkReachable(TensorInfo tensor) {
        checkOwn(tensor);
        if (tensor.size() > MAX_TENSOR) {
            throw new LoraConfigurationException(
                    name(path)
                            + ": tensor "
                            + Message.quote(tensor.name())
                            + " has "
                            + tensor.size()
                            + " bytes, a single tensor may have "
                            + MAX_TENSOR);
        }
    }

    private LoraConfigurationException shrunk(TensorInfo tensor, long size) {
        return new LoraConfigurationException(
                name(path)
                        + ": tensor "
                        + Message.quote(tensor.name())
                        + " lies at bytes "
                        + tensor.offset()
                        + " to "
                        + (tensor.offset() + tensor.size())
                        + ", but the file now ends at "
                        + size
                        + "; it has been cut off since it was opened");
    }

    private static LoraConfigurationException cannotRead(String name, IOException cause) {
        return new LoraConfigurationException(
                name + ": cannot be read: " + Message.oneLine(cause.toString()), cause);
    }

    private static String name(Path path) {
        return Message.oneLine(path.toString());
    }

    private static void closeQuietly(FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            // nothing was written, so nothing can be lost; the caller could do nothing about it
            logger.debug("Closing a file that was only read failed", e);
        }
    }
}
