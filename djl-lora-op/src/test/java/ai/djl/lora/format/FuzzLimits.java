/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import org.apache.commons.compress.utils.SeekableInMemoryByteChannel;

/** Limits under which an input that gets past them shows in a small heap, and inputs as files. */
final class FuzzLimits {

    static final FormatLimits LIMITS = new FormatLimits(1 << 24, 1 << 10, 1 << 20, 1 << 24, 64, 50);

    private FuzzLimits() {}

    static DataChannel file(byte[] input) {
        return new DataChannel("fuzz", new SeekableInMemoryByteChannel(input));
    }
}
