/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import java.util.List;
import java.util.Objects;

/**
 * Gives all requests of a session to one replica, for as long as that takes requests: the turns of
 * a conversation begin with the same tokens, whose keys and values lie in the memory of the replica
 * that ran them. Which one it is follows from the session and is remembered nowhere ({@link
 * Rendezvous}). Requests without a session go where another balancer sends them.
 */
public final class SessionAffine implements ReplicaBalancer {

    private final ReplicaBalancer others;

    /**
     * Constructs a new {@code SessionAffine} instance.
     *
     * @param others says where requests without a session go
     */
    public SessionAffine(ReplicaBalancer others) {
        this.others = Objects.requireNonNull(others, "others");
    }

    /** {@inheritDoc} */
    @Override
    public ReplicaLoad choose(ReplicaRequest request, List<ReplicaLoad> ready) {
        return request.session().isEmpty()
                ? others.choose(request, ready)
                : Rendezvous.order(request.session(), ready).get(0);
    }
}
