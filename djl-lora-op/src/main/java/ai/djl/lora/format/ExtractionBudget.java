/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/** Ends the extraction of an archive that grows beyond what is allowed, while it grows. */
final class ExtractionBudget {

    private final DataChannel archive;
    private final long allowed;
    private long used;

    /**
     * Constructs a new {@code ExtractionBudget} instance.
     *
     * @param archive the archive
     * @param limits how much may come out of it
     */
    ExtractionBudget(DataChannel archive, FormatLimits limits) {
        this.archive = archive;
        allowed = Math.min(limits.maxExtractedBytes(), limits.expanded(archive.size()));
    }

    /** Returns how many bytes have come out. */
    long used() {
        return used;
    }

    /** Returns a stream that counts what is read of it. */
    InputStream count(InputStream stream) {
        return new FilterInputStream(stream) {

            @Override
            public int read() throws IOException {
                int value = super.read();
                add(value < 0 ? 0 : 1);
                return value;
            }

            @Override
            public int read(byte[] target, int offset, int count) throws IOException {
                int size = super.read(target, offset, count);
                add(Math.max(0, size));
                return size;
            }

            @Override
            public long skip(long count) throws IOException {
                long skipped = super.skip(count);
                add(skipped);
                return skipped;
            }

            @Override
            public boolean markSupported() {
                return false;
            }
        };
    }

    private void add(long count) {
        used += count;
        if (used > allowed) {
            throw archive.fail(
                    "the archive of "
                            + archive.size()
                            + " bytes holds more than the allowed "
                            + allowed);
        }
    }
}
