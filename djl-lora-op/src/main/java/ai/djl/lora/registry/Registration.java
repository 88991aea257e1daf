/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/** What is known of an adapter when it is registered, or registered again. */
public final class Registration {

    private final String name;
    private final String hash;
    private final Path source;
    private final long bytes;
    private final Map<String, String> metadata;
    private final byte[] checksums;
    private final OptionalDouble priority;
    private final Optional<String> tenant;
    private final Optional<Boolean> pinned;

    private Registration(Builder builder) {
        name = NameRules.checkName("Adapter name", builder.name);
        hash = builder.hash;
        source = Objects.requireNonNull(builder.source, "source");
        bytes = builder.bytes;
        metadata = builder.metadata;
        checksums = builder.checksums;
        priority = builder.priority;
        tenant = builder.tenant;
        pinned = builder.pinned;
    }

    /**
     * Returns a builder.
     *
     * @return a builder with nothing set
     */
    public static Builder builder() {
        return new Builder();
    }

    String name() {
        return name;
    }

    OptionalDouble priority() {
        return priority;
    }

    Optional<String> tenant() {
        return tenant;
    }

    Optional<Boolean> pinned() {
        return pinned;
    }

    AdapterRevision revision(Instant now) {
        boolean validated = checksums != null;
        return new AdapterRevision(
                hash, source, bytes, now, metadata, validated, validated ? checksums : new byte[0]);
    }

    /** Returns a canary of this, which is not the current revision yet. */
    RegisteredCanary canary(double share, Instant now) {
        return new RegisteredCanary(revision(now), share, priority, pinned);
    }

    static double checkPriority(double priority) {
        if (!Double.isFinite(priority)) {
            throw new LoraConfigurationException(
                    "An adapter's priority is " + priority + "; it must be finite");
        }
        return priority;
    }

    /** The builder of a {@link Registration}. */
    public static final class Builder {

        private String name;
        private String hash;
        private Path source;
        private long bytes;
        private Map<String, String> metadata = Map.of();
        private byte[] checksums;
        private OptionalDouble priority = OptionalDouble.empty();
        private Optional<String> tenant = Optional.empty();
        private Optional<Boolean> pinned = Optional.empty();

        private Builder() {}

        /**
         * Sets the adapter's name.
         *
         * @param name the name: at most 256 characters, not blank, without control characters and
         *     without white space at its ends
         * @return this builder
         */
        public Builder setName(String name) {
            this.name = name;
            return this;
        }

        /**
         * Sets the content's hash.
         *
         * @param hash SHA-256 in 64 lower-case hexadecimal digits
         * @return this builder
         */
        public Builder setHash(String hash) {
            this.hash = hash;
            return this;
        }

        /**
         * Sets where the adapter lies.
         *
         * @param source a folder or an archive; kept as an absolute path
         * @return this builder
         */
        public Builder setSource(Path source) {
            this.source = source;
            return this;
        }

        /**
         * Sets how large the adapter's weights are.
         *
         * @param bytes the size in bytes
         * @return this builder
         */
        public Builder setBytes(long bytes) {
            this.bytes = bytes;
            return this;
        }

        /**
         * Sets what is noted of this revision; nothing by default.
         *
         * @param metadata at most 64 texts by name, of at most 8,192 characters each
         * @return this builder
         */
        public Builder optMetadata(Map<String, String> metadata) {
            this.metadata = Map.copyOf(metadata);
            return this;
        }

        /**
         * Says that this revision was validated whole.
         *
         * @param checksums what is needed to check its parts one by one, may be empty
         * @return this builder
         */
        public Builder optValidated(byte[] checksums) {
            this.checksums = checksums.clone();
            return this;
        }

        /**
         * Sets how much the adapter is worth keeping. Left out, an adapter that is registered again
         * keeps its priority, and a new one has 0.
         *
         * @param priority the priority, finite
         * @return this builder
         */
        public Builder optPriority(double priority) {
            this.priority = OptionalDouble.of(checkPriority(priority));
            return this;
        }

        /**
         * Sets to whom the adapter belongs. Left out, an adapter that is registered again keeps its
         * tenant, and a new one has none.
         *
         * @param tenant the tenant's name
         * @return this builder
         */
        public Builder optTenant(String tenant) {
            this.tenant = Optional.of(NameRules.checkName("Tenant", tenant));
            return this;
        }

        /**
         * Sets whether the adapter must stay resident. Left out, an adapter that is registered
         * again stays as it is, and a new one is not pinned.
         *
         * @param pinned whether it is pinned
         * @return this builder
         */
        public Builder optPinned(boolean pinned) {
            this.pinned = Optional.of(pinned);
            return this;
        }

        /**
         * Builds the registration.
         *
         * @return the registration
         * @throws LoraConfigurationException if the name cannot be one
         */
        public Registration build() {
            return new Registration(this);
        }
    }
}
