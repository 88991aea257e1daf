/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import java.util.Comparator;
import java.util.List;

/**
 * Gives a request to the replica with the fewest answers that have not ended; among several, to the
 * next one in turn, so that a server with little to do uses the memory of all.
 */
public final class LeastLoaded implements ReplicaBalancer {

    private int last = -1;

    /** {@inheritDoc} */
    @Override
    public ReplicaLoad choose(ReplicaRequest request, List<ReplicaLoad> ready) {
        ReplicaLoad least =
                ready.stream()
                        .min(
                                Comparator.comparingInt(ReplicaLoad::answers)
                                        // those behind the last one come before those up to it
                                        .thenComparing(load -> load.replica() <= last)
                                        .thenComparing(ReplicaLoad::replica))
                        .orElseThrow();
        last = least.replica();
        return least;
    }
}
