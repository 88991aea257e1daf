/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import java.nio.file.Path;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * What all connections of a server share.
 *
 * @param limits what one client may take
 * @param workers answer requests; they refuse what would wait too long
 * @param uploads the folder in which uploads are kept while they come
 * @param draining whether the server is about to end, and connections with it
 */
record ServerContext(
        ConnectionLimits limits, Executor workers, Path uploads, AtomicBoolean draining) {

    boolean isDraining() {
        return draining.get();
    }
}
