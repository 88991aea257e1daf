/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.HttpFailure;
import io.netty.buffer.ByteBuf;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Takes a request's content as it comes, up to a limit, in memory or in a file. */
final class BodySink implements AutoCloseable {

    private final long limit;
    private final Path file;
    private final OutputStream out;
    private long length;

    private BodySink(long limit, Path file, OutputStream out) {
        this.limit = limit;
        this.file = file;
        this.out = out;
    }

    static BodySink inMemory(long limit) {
        return new BodySink(limit, null, new ByteArrayOutputStream());
    }

    static BodySink inFile(Path folder, long limit) throws IOException {
        Path file = Files.createTempFile(folder, "upload-", ".part");
        return new BodySink(limit, file, Files.newOutputStream(file));
    }

    /**
     * Refuses content that is longer than the limit.
     *
     * @param bytes the length that a client names
     */
    void announce(long bytes) {
        if (bytes > limit) {
            throw new HttpFailure(
                    413,
                    "body_too_large",
                    "the body has " + bytes + " bytes, allowed are " + limit);
        }
    }

    void add(ByteBuf bytes) {
        if (length + bytes.readableBytes() > limit) {
            throw new HttpFailure(
                    413,
                    "body_too_large",
                    "the body has more than the allowed " + limit + " bytes");
        }
        length += bytes.readableBytes();
        try {
            bytes.readBytes(out, bytes.readableBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the content, which has come whole. */
    Body finish() throws IOException {
        out.close();
        return file == null
                ? new Body.InMemory(((ByteArrayOutputStream) out).toByteArray())
                : new Body.InFile(file, length);
    }

    /** Removes the file, where there is one. */
    @Override
    public void close() throws IOException {
        out.close();
        if (file != null) {
            Files.deleteIfExists(file);
        }
    }
}
