/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.server.http.HttpFailure;
import java.nio.file.Path;

/** Fetches adapters from other machines. */
interface RemoteSource extends AutoCloseable {

    /**
     * Returns whether a source is of this kind.
     *
     * @param source the source as it was given
     * @return whether it is
     */
    boolean reads(String source);

    /**
     * Refuses a source that is not allowed, without asking anybody.
     *
     * @param source the source as it was given
     * @throws HttpFailure of status 403 if it is not allowed, of 400 if it is not written as it
     *     must be
     */
    void check(String source);

    /**
     * Fetches an adapter.
     *
     * @param source the source as it was given, which is allowed
     * @param folder an empty folder
     * @return the file or folder in it that has been fetched
     * @throws HttpFailure of status 502 or 504 if it cannot be had, of 413 if it is too large
     */
    Path fetch(String source, Path folder);

    /** Ends connections. */
    @Override
    void close();
}
