/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import ai.djl.lora.server.LoraServer;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;

/** Adds the server to the application's health, where the application has one. */
@AutoConfiguration(after = LoraAutoConfiguration.class)
@ConditionalOnClass(HealthIndicator.class)
public class LoraHealthAutoConfiguration {

    /**
     * Makes what tells of the server's health.
     *
     * @param server the server
     * @return the indicator
     */
    @Bean
    @ConditionalOnBean(LoraServer.class)
    @ConditionalOnMissingBean(name = "loraHealthIndicator")
    HealthIndicator loraHealthIndicator(LoraServer server) {
        return new LoraHealthIndicator(server);
    }
}
