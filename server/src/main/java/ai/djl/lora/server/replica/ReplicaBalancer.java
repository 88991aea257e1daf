/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import java.util.List;

/** Decides which replica gets a request. */
@FunctionalInterface
public interface ReplicaBalancer {

    /**
     * Chooses a replica. Called by one thread at a time, and what it chooses is counted before it
     * is asked again.
     *
     * @param request the request
     * @param ready the replicas that take requests, at least one, in their order
     * @return one of them
     */
    ReplicaLoad choose(ReplicaRequest request, List<ReplicaLoad> ready);
}
