/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.server.replica.AdapterAffine;
import ai.djl.lora.server.replica.LeastLoaded;
import ai.djl.lora.server.replica.ReplicaBalancer;
import ai.djl.lora.server.replica.ReplicaOptions;
import ai.djl.lora.server.replica.SessionAffine;
import java.util.List;

/** What a server's file says of its engines: how many there are, and which gets a request. */
final class ReplicaSection {

    private static final String LEAST_LOADED = "least_loaded";
    private static final String ADAPTER_AFFINE = "adapter_affine";

    private int count = 1;
    private String strategy = LEAST_LOADED;
    private double loadFactor = AdapterAffine.DEFAULT_LOAD_FACTOR;
    private boolean sessions = true;

    void parse(ConfigSection root) {
        root.integer("replicas", 1, ReplicaOptions.MOST, value -> count = value);
        root.section("balancing", this::parseBalancing);
    }

    private void parseBalancing(ConfigSection section) {
        section.choice(
                "strategy", List.of(LEAST_LOADED, ADAPTER_AFFINE), value -> strategy = value);
        section.number("loadFactor", 1.01, 100, this::setLoadFactor);
        section.flag("sessions", value -> sessions = value);
        if (section.has("loadFactor") && !ADAPTER_AFFINE.equals(strategy)) {
            section.problem(
                    "loadFactor",
                    "balancing.loadFactor is given without strategy "
                            + ADAPTER_AFFINE
                            + ", which alone has one");
        }
    }

    private void setLoadFactor(double value) {
        loadFactor = value;
    }

    void setCount(int value) {
        count = value;
    }

    /** Sets the strategy, as the file names it. */
    void setStrategy(String value) {
        if (!List.of(LEAST_LOADED, ADAPTER_AFFINE).contains(value)) {
            throw new LoraConfigurationException(
                    "balancing is "
                            + value
                            + "; allowed are "
                            + LEAST_LOADED
                            + " and "
                            + ADAPTER_AFFINE);
        }
        strategy = value;
    }

    ReplicaOptions options() {
        ReplicaBalancer balancer =
                ADAPTER_AFFINE.equals(strategy) ? new AdapterAffine(loadFactor) : new LeastLoaded();
        return new ReplicaOptions(count, sessions ? new SessionAffine(balancer) : balancer);
    }
}
