/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.LoraConfigurationException;
import java.util.Objects;

/**
 * How many engines answer, and which of them gets a request.
 *
 * @param count the number of engines, from 1 to {@link #MOST}
 * @param balancer decides; it is used for one model
 */
public record ReplicaOptions(int count, ReplicaBalancer balancer) {

    /** The most engines that a server may have. */
    public static final int MOST = 64;

    /**
     * Constructs a new {@code ReplicaOptions} instance.
     *
     * @param count the number of engines
     * @param balancer decides which of them gets a request
     * @throws LoraConfigurationException if the number is not allowed
     */
    public ReplicaOptions {
        if (count < 1 || count > MOST) {
            throw new LoraConfigurationException(
                    "replicas is " + count + "; it must be from 1 to " + MOST);
        }
        Objects.requireNonNull(balancer, "balancer");
    }

    /**
     * Returns options where sessions stay with their replica, and others go to the least loaded.
     *
     * @param count the number of engines
     * @return the options
     */
    public static ReplicaOptions of(int count) {
        return new ReplicaOptions(count, new SessionAffine(new LeastLoaded()));
    }
}
