/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.server.LoraServer;
import java.util.Map;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;

/** A Spring Boot application that serves a model, as its properties say. */
@SpringBootApplication(proxyBeanMethods = false)
public class SpringServing {

    /**
     * Prints where the server listens, and ends.
     *
     * @param args none; it is run in the repository's root
     */
    public static void main(String[] args) {
        var application = new SpringApplication(SpringServing.class);
        // what an application has in its application.properties
        application.setDefaultProperties(
                Map.of(
                        "djl.lora.model", "examples/demo/base",
                        "djl.lora.name", "demo",
                        "djl.lora.adapters.upper", "examples/demo/upper",
                        "spring.main.banner-mode", "off"));
        application.run(args).close();
    }

    /**
     * Makes what is run when the application has started.
     *
     * @param server the server that the starter made
     * @return what says so
     */
    @Bean
    CommandLineRunner greeting(LoraServer server) {
        return args -> System.out.println(server.model().name() + ": " + server.isReady());
    }
}
