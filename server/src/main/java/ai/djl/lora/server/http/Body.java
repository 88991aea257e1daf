/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

/** What a request carries. */
public sealed interface Body permits Body.InMemory, Body.InFile {

    /** No content. */
    Body EMPTY = new InMemory(new byte[0]);

    /**
     * Returns how long it is.
     *
     * @return the number of bytes
     */
    long length();

    /**
     * Content in memory.
     *
     * @param bytes the content, not copied
     */
    record InMemory(byte[] bytes) implements Body {

        /** {@inheritDoc} */
        @Override
        public long length() {
            return bytes.length;
        }

        /**
         * Returns the content as text.
         *
         * @return the text
         * @throws HttpFailure if it is not UTF-8
         */
        public String text() {
            try {
                return StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(ByteBuffer.wrap(bytes))
                        .toString();
            } catch (CharacterCodingException e) {
                throw new HttpFailure(
                        400, "invalid_encoding", "the body is not valid UTF-8", null, Map.of(), e);
            }
        }
    }

    /**
     * Content in a file of the server's own, which is removed when the request has been answered.
     *
     * @param file the file
     * @param length the number of bytes
     */
    record InFile(Path file, long length) implements Body {}
}
