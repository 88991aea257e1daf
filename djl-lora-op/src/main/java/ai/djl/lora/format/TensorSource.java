/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The tensors of an adapter's file or files.
 *
 * <p>What the tensors are is known once a source is open; their bytes are read when they are asked
 * for, into memory of the caller's. Instances may be used by several threads at once.
 */
public interface TensorSource extends AutoCloseable {

    /**
     * Returns the file, for messages.
     *
     * @return the path; of several files the one that lists them
     */
    Path path();

    /**
     * Returns what the tensors are, without reading their data.
     *
     * @return the tensors by their names in the file, in the file's order, unmodifiable; a tensor's
     *     type, shape and size are those of {@link #read}, its offset is where its data begins in
     *     its file
     */
    Map<String, TensorInfo> tensors();

    /**
     * Reads a tensor into memory of its own.
     *
     * @param tensor a tensor of this source
     * @return its bytes, little endian, rows behind one another
     * @throws LoraConfigurationException if the tensor has 2 GiB or more, or the file has become
     *     shorter since it was opened, or cannot be read
     */
    byte[] read(TensorInfo tensor);

    /**
     * Hands a tensor's bytes on in pieces, in their order, so that a large one can be hashed in
     * little memory.
     *
     * @param tensor a tensor of this source
     * @param chunks takes read-only, little-endian buffers of at most 1 MiB, each valid during its
     *     call alone
     * @throws LoraConfigurationException if the file has become shorter since it was opened, or
     *     cannot be read
     */
    void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks);

    /** Closes the files. */
    @Override
    void close();
}
