/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import ai.djl.lora.LoraException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.replica.ReplicaOptions;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/**
 * Loads the model of {@code djl.lora.model} and serves it. An application that has a {@link
 * LoraServer} of its own keeps it, and beans of type {@link LoraServerCustomizer} have the last
 * word about the one that is made here.
 */
@AutoConfiguration
@ConditionalOnProperty("djl.lora.model")
@EnableConfigurationProperties(LoraProperties.class)
public class LoraAutoConfiguration {

    /**
     * Makes the server, which the context closes.
     *
     * @param properties what is served
     * @param customizers what the application says of the server
     * @return the server, which listens
     */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    LoraServer loraServer(
            LoraProperties properties, ObjectProvider<LoraServerCustomizer> customizers) {
        ServedModel model =
                ServedModel.load(
                        properties.modelName(),
                        properties.model(),
                        properties.arguments(),
                        SamplingParameters.greedy(properties.maxTokens()),
                        ReplicaOptions.of(properties.replicas()));
        try {
            properties.adapters().forEach(model.adapters()::register);
            LoraServer.Builder builder =
                    LoraServer.builder()
                            .setModel(model)
                            .optHost(properties.host())
                            .optPort(properties.port())
                            .optDrainTime(properties.drainTime());
            customizers.orderedStream().forEach(each -> each.customize(builder));
            return builder.build().start();
        } catch (LoraException e) {
            model.close();
            throw e;
        }
    }
}
