/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/**
 * An adapter packed into one file, {@code .djlora}, whose tensors lie in one block that is read
 * into the host's memory at once.
 *
 * <pre>
 *  0   8 bytes  the magic 89 44 4a 4c 4f 52 41 0a
 *  8   4 bytes  the version, 1
 * 12   4 bytes  n, the length of the header
 * 16   n bytes  the header, a JSON object in UTF-8
 *      4 bytes  the CRC32C of all before it
 *      zeros up to a multiple of 4096
 *      the block: the tensors, each at a multiple of 64, zeros between them
 *     32 bytes  the SHA-256 of all before it
 * </pre>
 *
 * <p>Numbers are little endian. The header has
 *
 * <ul>
 *   <li>{@code revision}, the name of the adapter's content;
 *   <li>{@code config}, what PEFT's {@code adapter_config.json} holds;
 *   <li>{@code modules}, what the adapter does to each module (name, variant, rank, scale), for
 *       whoever looks at the file: readers follow {@code config};
 *   <li>{@code block_bytes}, the size of the block;
 *   <li>{@code tensors}, of each the normalised {@code name} (see {@link AdapterFiles}), {@code
 *       dtype} and {@code shape} as safetensors has them, {@code offset} in the block, {@code
 *       bytes}, and {@code crc32c} in 8 hexadecimal digits.
 * </ul>
 *
 * <p>Opening checks the header's CRC32C and that all adds up. Reading a tensor, or all of them,
 * checks the CRC32C of each; {@link #verify} checks the SHA-256. Instances may be used by several
 * threads at once.
 */
public final class PackedFile implements TensorSource {

    /** What a file begins with, as a little-endian number. */
    public static final long MAGIC = 0x0a41524f4c4a4489L;

    /** The version that is written, and the only one that is read. */
    public static final int VERSION = 1;

    /** Each tensor begins at a multiple of this many bytes of the block: a line of the cache. */
    public static final int TENSOR_ALIGNMENT = 64;

    /** The block begins at a multiple of this many bytes of the file: a page of memory. */
    public static final int BLOCK_ALIGNMENT = 4096;

    private static final int PREAMBLE = 16;
    private static final int CRC_BYTES = 4;
    private static final int HASH_BYTES = 32;
    private static final int MAX_HEADER = 16 << 20;

    private final Path path;
    private final DataChannel file;
    private final PackedHeader header;
    private final long blockStart;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

    private PackedFile(Path path, DataChannel file, FormatLimits limits) {
        this.path = path;
        this.file = file;
        int length = readPreamble(limits);
        byte[] head = file.read(0, PREAMBLE + length + CRC_BYTES);
        int end = PREAMBLE + length;
        CRC32C crc = new CRC32C();
        crc.update(head, 0, end);
        if ((int) crc.getValue() != new ByteReader(file, end, end + CRC_BYTES).i32()) {
            throw file.fail("the header is not what was written: its CRC32C is another");
        }
        header = new PackedHeader(file, decode(head, length));
        blockStart = align(end + CRC_BYTES, BLOCK_ALIGNMENT);
        long expected = blockStart + header.blockBytes() + HASH_BYTES;
        if (expected != file.size()) {
            throw file.fail(
                    "the file has "
                            + file.size()
                            + " bytes, but by its header it has "
                            + expected
                            + "; it was cut off or something was added");
        }
        header.tensors()
                .forEach(
                        (name, entry) ->
                                tensors.put(
                                        name,
                                        new TensorInfo(
                                                name,
                                                entry.type(),
                                                entry.shape(),
                                                blockStart + entry.offset(),
                                                entry.size())));
        limits.check(path, tensors.values());
    }

    /**
     * Opens a packed file and checks its header.
     *
     * @param path the file
     * @param limits how much it may ask for
     * @return the open file, to be closed by the caller
     * @throws LoraConfigurationException if it cannot be read, is no such file or not a whole one
     */
    public static PackedFile open(Path path, FormatLimits limits) {
        return open(path, DataChannel.open(path), limits);
    }

    /** Opens what a channel holds, which the file owns from then on, also when this fails. */
    static PackedFile open(Path path, DataChannel channel, FormatLimits limits) {
        boolean opened = false;
        try {
            PackedFile result = new PackedFile(path, channel, limits);
            opened = true;
            return result;
        } finally {
            if (!opened) {
                channel.close();
            }
        }
    }

    /**
     * Rounds up to a multiple.
     *
     * @param size a size in bytes
     * @param alignment a power of two
     * @return the smallest multiple that is not smaller
     */
    public static long align(long size, int alignment) {
        return (size + alignment - 1) & -alignment;
    }

    /**
     * Returns the revision that the header states.
     *
     * @return 64 hexadecimal digits
     */
    public String revision() {
        return header.revision();
    }

    /**
     * Returns the adapter's configuration.
     *
     * @return what {@code adapter_config.json} held, not to be changed
     */
    public JsonObject config() {
        return header.config();
    }

    /** {@inheritDoc} */
    @Override
    public Path path() {
        return path;
    }

    /** {@inheritDoc} */
    @Override
    public Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** {@inheritDoc} */
    @Override
    public byte[] read(TensorInfo tensor) {
        checkOwn(tensor);
        file.checkArray(tensor.size());
        byte[] data = file.read(tensor.offset(), tensor.size());
        CRC32C crc = new CRC32C();
        crc.update(data);
        checkSum(tensor, crc);
        return data;
    }

    /** {@inheritDoc} */
    @Override
    public void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks) {
        checkOwn(tensor);
        CRC32C crc = new CRC32C();
        file.stream(
                tensor.offset(),
                tensor.size(),
                chunk -> {
                    crc.update(chunk.duplicate());
                    chunks.accept(chunk);
                });
        checkSum(tensor, crc);
    }

    /**
     * Reads all tensors at once, in one pass over the file, and checks each.
     *
     * @return the block; a tensor lies in it at {@link #offsetInBlock}
     * @throws LoraConfigurationException if the block has 2 GiB or more, or a tensor is not what
     *     was written
     */
    public byte[] readBlock() {
        file.checkArray(header.blockBytes());
        byte[] block = file.read(blockStart, header.blockBytes());
        for (TensorInfo tensor : tensors.values()) {
            CRC32C crc = new CRC32C();
            crc.update(block, (int) offsetInBlock(tensor), (int) tensor.size());
            checkSum(tensor, crc);
        }
        return block;
    }

    /**
     * Returns where a tensor lies in the block.
     *
     * @param tensor a tensor of this file
     * @return its first byte, a multiple of {@link #TENSOR_ALIGNMENT}
     */
    public long offsetInBlock(TensorInfo tensor) {
        return tensor.offset() - blockStart;
    }

    /**
     * Checks the SHA-256 of the whole file.
     *
     * @throws LoraConfigurationException if the file is not what was written
     */
    public void verify() {
        MessageDigest digest = sha256();
        long end = file.size() - HASH_BYTES;
        file.stream(0, end, digest::update);
        if (!Arrays.equals(digest.digest(), file.read(end, HASH_BYTES))) {
            throw file.fail("the file is not what was written: its SHA-256 is another");
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        file.close();
    }

    /** Checks what stands before the header and returns the header's length. */
    private int readPreamble(FormatLimits limits) {
        if (file.size() < PREAMBLE + CRC_BYTES + HASH_BYTES) {
            throw file.fail("the file has " + file.size() + " bytes, too few for a packed adapter");
        }
        ByteReader reader = new ByteReader(file, 0, PREAMBLE);
        if (reader.i64() != MAGIC) {
            throw file.fail("the file does not begin as a packed adapter does");
        }
        long version = reader.u32();
        if (version != VERSION) {
            throw file.fail("the file is of version " + version + ", supported is " + VERSION);
        }
        long length = reader.u32();
        long allowed =
                Math.min(
                        Math.min(MAX_HEADER, limits.maxHeaderBytes()),
                        file.size() - PREAMBLE - CRC_BYTES - HASH_BYTES);
        if (length > allowed) {
            throw file.fail(
                    "the header's length is " + length + " bytes, allowed are at most " + allowed);
        }
        return (int) length;
    }

    private JsonObject decode(byte[] head, int length) {
        try {
            String json = StrictJson.decode(ByteBuffer.wrap(head, PREAMBLE, length));
            return StrictJson.parseObject(json, file.name() + ": the header");
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException(file.name() + ": the header is not UTF-8", e);
        }
    }

    private void checkSum(TensorInfo tensor, CRC32C crc) {
        if ((int) crc.getValue() != header.tensors().get(tensor.name()).crc32c()) {
            throw file.fail(
                    "tensor "
                            + Message.quote(tensor.name())
                            + " is not what was written: its CRC32C is another");
        }
    }

    private void checkOwn(TensorInfo tensor) {
        if (tensors.get(tensor.name()) != tensor) {
            throw new IllegalArgumentException(
                    "The tensor " + tensor + " is none of the file " + file.name());
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }
}
