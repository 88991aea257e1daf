/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.LoraConfigurationException;
import java.util.List;

/**
 * Gives an adapter's requests to few replicas, so that steps have few adapters and prompts that
 * begin the same find their keys and values, without letting a busy adapter fill one replica while
 * others are idle: of the replicas in the adapter's own order ({@link Rendezvous}) the first gets a
 * request whose load stays within a factor of the mean. That is consistent hashing with bounded
 * loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018; arXiv 1608.01350), where bins are visited
 * in the order of a ring. The base model's requests, which any replica answers as well, go to the
 * least loaded.
 */
public final class AdapterAffine implements ReplicaBalancer {

    /** How far a replica may be above the mean by default. */
    public static final double DEFAULT_LOAD_FACTOR = 1.25;

    private final double loadFactor;
    private final ReplicaBalancer leastLoaded = new LeastLoaded();

    /**
     * Constructs a new {@code AdapterAffine} instance.
     *
     * @param loadFactor how many times the mean load a replica may have, rounded up to whole
     *     answers; above 1. The nearer it is to 1, the more even are loads and the more replicas
     *     has an adapter
     * @throws LoraConfigurationException if it is not finite and above 1
     */
    public AdapterAffine(double loadFactor) {
        if (!(loadFactor > 1) || Double.isInfinite(loadFactor)) {
            throw new LoraConfigurationException(
                    "loadFactor is " + loadFactor + "; it must be a finite number above 1");
        }
        this.loadFactor = loadFactor;
    }

    /** {@inheritDoc} */
    @Override
    public ReplicaLoad choose(ReplicaRequest request, List<ReplicaLoad> ready) {
        if (request.adapter().isEmpty()) {
            return leastLoaded.choose(request, ready);
        }
        long all = request.answers();
        for (ReplicaLoad load : ready) {
            all += load.answers();
        }
        double capacity = Math.ceil(loadFactor * all / ready.size());
        for (ReplicaLoad load : Rendezvous.order(request.adapter(), ready)) {
            if (load.answers() + request.answers() <= capacity) {
                return load;
            }
        }
        // a request for more answers than a replica's share fits nowhere
        return leastLoaded.choose(request, ready);
    }
}
