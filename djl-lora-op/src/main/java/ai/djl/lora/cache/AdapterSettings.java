/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.registry.NameRules;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How an adapter is registered: how strictly it is read, and what is noted of it. What is not given
 * is left as it was where the adapter is on record already.
 */
public final class AdapterSettings {

    /** Nothing but the defaults. */
    public static final AdapterSettings DEFAULTS = builder().build();

    private final LoadingPolicy policy;
    private final OptionalDouble priority;
    private final Optional<String> tenant;
    private final Optional<Boolean> pinned;
    private final Map<String, String> metadata;
    private final Optional<UnavailablePolicy> unavailable;

    private AdapterSettings(Builder builder) {
        policy = builder.policy;
        priority = builder.priority;
        tenant = builder.tenant;
        pinned = builder.pinned;
        metadata = builder.metadata;
        unavailable = builder.unavailable;
    }

    /**
     * Returns a builder.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns how strictly the adapter is read.
     *
     * @return the policy
     */
    public LoadingPolicy getPolicy() {
        return policy;
    }

    /**
     * Returns how much it is worth keeping.
     *
     * @return the priority, higher is more
     */
    public OptionalDouble getPriority() {
        return priority;
    }

    /**
     * Returns whose adapter it is.
     *
     * @return the tenant
     */
    public Optional<String> getTenant() {
        return tenant;
    }

    /**
     * Returns whether it stays on the device.
     *
     * @return whether it is pinned
     */
    public Optional<Boolean> getPinned() {
        return pinned;
    }

    /**
     * Returns what is noted of this revision.
     *
     * @return texts by name
     */
    public Map<String, String> getMetadata() {
        return metadata;
    }

    /**
     * Returns what happens when the adapter cannot be had and a request does not say.
     *
     * @return the policy; empty for the store's
     */
    public Optional<UnavailablePolicy> getUnavailable() {
        return unavailable;
    }

    /** Builds {@code AdapterSettings}. */
    public static final class Builder {

        private LoadingPolicy policy = LoadingPolicy.STRICT;
        private OptionalDouble priority = OptionalDouble.empty();
        private Optional<String> tenant = Optional.empty();
        private Optional<Boolean> pinned = Optional.empty();
        private Map<String, String> metadata = Map.of();
        private Optional<UnavailablePolicy> unavailable = Optional.empty();

        private Builder() {}

        /**
         * Sets how strictly the adapter is read, now and whenever it is read whole. A policy is not
         * kept over restarts: an adapter that needs it is then refused until it is registered
         * again.
         *
         * @param policy the policy; strict by default
         * @return this builder
         */
        public Builder optPolicy(LoadingPolicy policy) {
            this.policy = policy;
            return this;
        }

        /**
         * Sets how much the adapter is worth keeping.
         *
         * @param priority the priority, higher is more; finite, 0 by default
         * @return this builder
         */
        public Builder optPriority(double priority) {
            this.priority = OptionalDouble.of(priority);
            return this;
        }

        /**
         * Sets whose adapter it is.
         *
         * @param tenant the tenant; none by default
         * @return this builder
         * @throws ai.djl.lora.LoraConfigurationException if the tenant's name cannot be one
         */
        public Builder optTenant(String tenant) {
            this.tenant = Optional.of(NameRules.checkName("Tenant", tenant));
            return this;
        }

        /**
         * Sets whether the adapter stays on the device.
         *
         * @param pinned whether it is pinned; not by default
         * @return this builder
         */
        public Builder optPinned(boolean pinned) {
            this.pinned = Optional.of(pinned);
            return this;
        }

        /**
         * Sets what is noted of this revision.
         *
         * @param metadata at most 64 texts by name
         * @return this builder
         * @throws ai.djl.lora.LoraConfigurationException if that cannot be stored
         */
        public Builder optMetadata(Map<String, String> metadata) {
            this.metadata = NameRules.checkMetadata(metadata);
            return this;
        }

        /**
         * Sets what happens when the adapter cannot be had and a request does not say. As the
         * policy of reading, this is not kept over restarts.
         *
         * @param unavailable the policy; the store's by default
         * @return this builder
         */
        public Builder optUnavailable(UnavailablePolicy unavailable) {
            this.unavailable = Optional.of(unavailable);
            return this;
        }

        /**
         * Builds the settings.
         *
         * @return the settings
         */
        public AdapterSettings build() {
            return new AdapterSettings(this);
        }
    }
}
