/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Writes a safetensors file tensor by tensor, so that only a piece of one need be in memory.
 *
 * <p>Tensors lie as Hugging Face's own writer puts them: those of wider elements first, which keeps
 * each aligned, then by name.
 */
final class SafetensorsOutput implements AutoCloseable {

    private final FileChannel channel;
    private final List<TensorInfo> tensors;
    private int next;
    private long left;

    /**
     * Creates the file and writes its header.
     *
     * @param file the file, overwritten if it is there
     * @param described the tensors' names, types, shapes and sizes; offsets do not count
     */
    SafetensorsOutput(Path file, List<TensorInfo> described) throws IOException {
        tensors =
                described.stream()
                        .sorted(
                                Comparator.comparing((TensorInfo tensor) -> -tensor.type().bytes())
                                        .thenComparing(TensorInfo::name))
                        .toList();
        channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE);
        boolean written = false;
        try {
            writeHeader();
            written = true;
        } finally {
            if (!written) {
                channel.close();
            }
        }
    }

    /** Returns the tensors in the order in which they must be written. */
    List<TensorInfo> tensors() {
        return tensors;
    }

    /** Begins the next tensor. */
    void begin(TensorInfo tensor) {
        if (left != 0 || next == tensors.size() || tensors.get(next) != tensor) {
            throw new IllegalStateException(
                    "Tensor " + tensor + " is out of turn, or " + left + " bytes are missing");
        }
        left = tensor.size();
        next++;
    }

    /** Writes the next bytes of the tensor that was begun. */
    void write(ByteBuffer data) throws IOException {
        if (data.remaining() > left) {
            throw new IllegalStateException(
                    data.remaining() + " bytes where " + left + " are left");
        }
        left -= data.remaining();
        writeFully(data);
    }

    /** Checks that everything was written. */
    void finish() {
        if (left != 0 || next != tensors.size()) {
            throw new IllegalStateException("Only " + next + " of " + tensors.size() + " tensors");
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() throws IOException {
        channel.close();
    }

    private void writeHeader() throws IOException {
        JsonObject header = new JsonObject();
        JsonObject metadata = new JsonObject();
        // transformers refuses files that do not say this
        metadata.addProperty("format", "pt");
        header.add("__metadata__", metadata);
        long offset = 0;
        for (TensorInfo tensor : tensors) {
            JsonObject entry = new JsonObject();
            entry.addProperty("dtype", tensor.type().name());
            JsonArray shape = new JsonArray();
            Arrays.stream(tensor.shape()).forEach(shape::add);
            entry.add("shape", shape);
            JsonArray offsets = new JsonArray();
            offsets.add(offset);
            offset += tensor.size();
            offsets.add(offset);
            entry.add("data_offsets", offsets);
            header.add(tensor.name(), entry);
        }
        byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
        // the data begins at a multiple of the widest element
        byte[] text = Arrays.copyOf(json, (json.length + Long.BYTES - 1) & -Long.BYTES);
        Arrays.fill(text, json.length, text.length, (byte) ' ');
        ByteBuffer head =
                ByteBuffer.allocate(Long.BYTES + text.length).order(ByteOrder.LITTLE_ENDIAN);
        writeFully(head.putLong(text.length).put(text).flip());
    }

    private void writeFully(ByteBuffer data) throws IOException {
        while (data.hasRemaining()) {
            channel.write(data);
        }
    }
}
