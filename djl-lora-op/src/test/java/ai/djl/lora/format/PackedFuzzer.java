/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * Fuzzes packed adapters. An input is a whole file; or, behind a byte 1, a header alone, to which
 * its length, its checksum and a block of zeros of the size in the next byte are added, since a
 * fuzzer never hits upon a checksum.
 */
public final class PackedFuzzer {

    private static final int PREAMBLE = 16;
    private static final int CRC_BYTES = 4;
    private static final int HASH_BYTES = 32;

    private PackedFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        byte[] file = input.length > 2 && input[0] == 1 ? frame(input) : input;
        FuzzExpectation.check(() -> read(file));
    }

    private static byte[] frame(byte[] input) {
        int header = input.length - 2;
        int end = PREAMBLE + header;
        long start = PackedFile.align(end + CRC_BYTES, PackedFile.BLOCK_ALIGNMENT);
        ByteBuffer file = ByteBuffer.allocate((int) start + (input[1] & 0xff) + HASH_BYTES);
        file.order(ByteOrder.LITTLE_ENDIAN).putLong(PackedFile.MAGIC).putInt(PackedFile.VERSION);
        file.putInt(header).put(input, 2, header);
        CRC32C crc = new CRC32C();
        crc.update(file.array(), 0, end);
        file.putInt((int) crc.getValue());
        return file.array();
    }

    private static void read(byte[] input) {
        try (PackedFile file =
                PackedFile.open(Path.of("fuzz"), FuzzLimits.file(input), FuzzLimits.LIMITS)) {
            FuzzExpectation.promise(
                    file.revision().length() == 64, "a revision is the digits of a hash");
            for (TensorInfo tensor : file.tensors().values()) {
                FuzzExpectation.promise(
                        tensor.offset() + tensor.size() <= input.length - HASH_BYTES,
                        "tensors lie in the block");
                FuzzExpectation.check(() -> file.read(tensor));
            }
            FuzzExpectation.check(file::readBlock);
            file.verify();
        }
    }
}
