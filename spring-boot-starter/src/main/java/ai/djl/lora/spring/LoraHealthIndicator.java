/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.server.LoraServer;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;

/** Tells whether the server takes requests, and how its engines stand. */
final class LoraHealthIndicator implements HealthIndicator {

    private final LoraServer server;

    /**
     * Constructs a new {@code LoraHealthIndicator} instance.
     *
     * @param server the server
     */
    LoraHealthIndicator(LoraServer server) {
        this.server = server;
    }

    /** {@inheritDoc} */
    @Override
    public Health health() {
        EngineStatistics engine = server.model().replicas().statistics();
        boolean ready = server.isReady() && server.model().replicas().isReady();
        Health.Builder health = ready ? Health.up() : Health.outOfService();
        return health.withDetail("url", server.uri().toString())
                .withDetail("adapters", server.model().adapters().names().size())
                .withDetail("replicas", server.model().replicas().all().size())
                .withDetail("running", engine.running())
                .withDetail("waiting", engine.waiting())
                .build();
    }
}
