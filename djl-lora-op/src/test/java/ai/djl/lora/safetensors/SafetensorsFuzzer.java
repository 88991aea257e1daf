/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.FuzzExpectation;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.commons.compress.utils.SeekableInMemoryByteChannel;

/**
 * Fuzzes the header of safetensors files. An input is a whole file; or, behind a byte 1, a header
 * alone, to which the length and data of the size in the next byte are added, since a fuzzer seldom
 * hits upon a length that fits.
 */
public final class SafetensorsFuzzer {

    private static final long MAX_HEADER = 1 << 20;

    private SafetensorsFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        byte[] file = input;
        if (input.length > 2 && input[0] == 1) {
            int header = input.length - 2;
            ByteBuffer whole = ByteBuffer.allocate(8 + header + (input[1] & 0xff));
            whole.order(ByteOrder.LITTLE_ENDIAN).putLong(header).put(input, 2, header);
            file = whole.array();
        }
        byte[] data = file;
        FuzzExpectation.check(() -> read(data));
    }

    private static void read(byte[] file) {
        SafetensorsHeader header;
        try (SeekableInMemoryByteChannel channel = new SeekableInMemoryByteChannel(file)) {
            header = SafetensorsFile.readHeader("fuzz", channel, MAX_HEADER);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        long next = -1;
        for (TensorInfo tensor : header.tensors().values()) {
            long count = Arrays.stream(tensor.shape()).reduce(1, (a, b) -> a * b);
            FuzzExpectation.promise(
                    count * tensor.type().bytes() == tensor.size(), "the size is the shape's");
            FuzzExpectation.promise(
                    next < 0 || tensor.offset() == next, "tensors lie behind one another");
            next = tensor.offset() + tensor.size();
            FuzzExpectation.promise(next <= file.length, "tensors lie in the file");
        }
        FuzzExpectation.promise(next < 0 || next == file.length, "tensors fill the file");
    }
}
