/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.io.IOException;
import java.io.InputStream;

/** Takes the files of an archive, whose names and sizes were checked. */
@FunctionalInterface
interface ArchiveSink {

    /**
     * Takes a file.
     *
     * @param name its name, relative, with {@code /} between the parts
     * @param content its bytes, to be read to their end
     * @throws IOException if the bytes cannot be read or kept
     */
    void accept(String name, InputStream content) throws IOException;
}
