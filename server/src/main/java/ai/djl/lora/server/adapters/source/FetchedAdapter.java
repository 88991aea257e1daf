/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraException;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * An adapter that lies where it can be read. Closing deletes the copy that was made of it, unless
 * it is kept.
 *
 * @param path the folder or file
 * @param given the source as it was given
 * @param copy the copy that was made; empty where the source is read where it lies
 */
public record FetchedAdapter(Path path, String given, Optional<LocalCopies.Copy> copy)
        implements AutoCloseable {

    /** Leaves the copy to the adapters that are read from it. */
    public void keep() {
        copy.ifPresent(LocalCopies.Copy::keep);
    }

    /**
     * Returns text as callers may see it: with the source as it was given in the place of where it
     * lies.
     *
     * @param text the text
     * @return the text without a path of the server
     */
    public String hidePaths(String text) {
        String shown = text.replace(path.toString(), given);
        return copy.isPresent() ? shown.replace(copy.get().folder().toString(), given) : shown;
    }

    /**
     * Reads the adapter.
     *
     * @param reading reads it
     * @param <T> what comes out
     * @return what comes out
     * @throws HttpFailure if it cannot be read, without a path of the server
     */
    public <T> T read(Supplier<T> reading) {
        try {
            return reading.get();
        } catch (LoraException e) {
            throw hidden(e);
        }
    }

    /** Returns a failure as callers may see it. */
    HttpFailure hidden(LoraException failure) {
        HttpFailure known = Failures.of("", failure);
        return new HttpFailure(
                known.status(),
                known.code(),
                hidePaths(known.getMessage()),
                known.parameter(),
                known.headers(),
                failure);
    }

    /** Deletes the copy, unless it is kept. */
    @Override
    public void close() {
        copy.ifPresent(LocalCopies.Copy::close);
    }
}
