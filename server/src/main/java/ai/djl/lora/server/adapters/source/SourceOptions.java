/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.format.FormatLimits;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** From where adapters may be had, how much of them, and where their copies are kept. */
public final class SourceOptions {

    private final SourcePolicy policy;
    private final Optional<Path> folder;
    private final long maxBytes;
    private final int maxFiles;
    private final Duration connectTime;
    private final Duration fetchTime;
    private final FormatLimits limits;
    private final URI hub;
    private final Optional<String> hubToken;
    private final Optional<URI> s3Endpoint;
    private final Optional<String> s3Region;

    private SourceOptions(Builder builder) {
        policy = builder.policy;
        folder = builder.folder;
        maxBytes = builder.maxBytes;
        maxFiles = builder.maxFiles;
        connectTime = builder.connectTime;
        fetchTime = builder.fetchTime;
        limits = builder.limits;
        hub = builder.hub;
        hubToken = builder.hubToken;
        s3Endpoint = builder.s3Endpoint;
        s3Region = builder.s3Region;
    }

    /**
     * Returns a builder.
     *
     * @return a builder with the defaults set, which allow no source
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns a builder with these options set.
     *
     * @return the builder
     */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.policy = policy;
        builder.folder = folder;
        builder.maxBytes = maxBytes;
        builder.maxFiles = maxFiles;
        builder.connectTime = connectTime;
        builder.fetchTime = fetchTime;
        builder.limits = limits;
        builder.hub = hub;
        builder.hubToken = hubToken;
        builder.s3Endpoint = s3Endpoint;
        builder.s3Region = s3Region;
        return builder;
    }

    /**
     * Returns what is allowed.
     *
     * @return the policy
     */
    public SourcePolicy policy() {
        return policy;
    }

    /**
     * Returns where copies are kept.
     *
     * @return the folder; empty for a temporary one
     */
    public Optional<Path> folder() {
        return folder;
    }

    /**
     * Returns how much an adapter's files may have together.
     *
     * @return the bytes
     */
    public long maxBytes() {
        return maxBytes;
    }

    /**
     * Returns how many files an adapter may be made of.
     *
     * @return the number
     */
    public int maxFiles() {
        return maxFiles;
    }

    /**
     * Returns how long a connection may take to come about.
     *
     * @return the time
     */
    public Duration connectTime() {
        return connectTime;
    }

    /**
     * Returns how long an adapter may take to be fetched.
     *
     * @return the time
     */
    public Duration fetchTime() {
        return fetchTime;
    }

    /**
     * Returns how much may come out of an archive.
     *
     * @return the limits
     */
    public FormatLimits limits() {
        return limits;
    }

    /**
     * Returns where the Hugging Face hub is.
     *
     * @return the address of its root
     */
    public URI hub() {
        return hub;
    }

    /**
     * Returns what says to the hub who asks.
     *
     * @return the token; empty for nobody
     */
    public Optional<String> hubToken() {
        return hubToken;
    }

    /**
     * Returns where S3 is.
     *
     * @return the address; empty for that of the region
     */
    public Optional<URI> s3Endpoint() {
        return s3Endpoint;
    }

    /**
     * Returns the region of buckets.
     *
     * @return the region; empty for what the AWS SDK finds
     */
    public Optional<String> s3Region() {
        return s3Region;
    }

    /** The builder of {@link SourceOptions}. */
    public static final class Builder {

        private SourcePolicy policy = SourcePolicy.NOTHING;
        private Optional<Path> folder = Optional.empty();
        private long maxBytes = 8L << 30;
        private int maxFiles = 1000;
        private Duration connectTime = Duration.ofSeconds(10);
        private Duration fetchTime = Duration.ofMinutes(10);
        private FormatLimits limits = FormatLimits.DEFAULTS;
        private URI hub = URI.create("https://huggingface.co");
        private Optional<String> hubToken = Optional.empty();
        private Optional<URI> s3Endpoint = Optional.empty();
        private Optional<String> s3Region = Optional.empty();

        private Builder() {}

        /**
         * Sets what is allowed; nothing by default.
         *
         * @param value the policy
         * @return this builder
         */
        public Builder optPolicy(SourcePolicy value) {
            policy = Objects.requireNonNull(value, "policy");
            return this;
        }

        /**
         * Sets where copies of what was fetched are kept. Where the adapters' registry is kept over
         * restarts, so must this be.
         *
         * @param value a folder in which nobody else writes; a temporary one by default
         * @return this builder
         */
        public Builder optFolder(Path value) {
            folder = Optional.of(value);
            return this;
        }

        /**
         * Sets how much an adapter's files may have together; 8 GiB by default.
         *
         * @param value the bytes, at least 1
         * @return this builder
         */
        public Builder optMaxBytes(long value) {
            check("maxBytes", value, value > 0);
            maxBytes = value;
            return this;
        }

        /**
         * Sets how many files an adapter may be made of; 1,000 by default.
         *
         * @param value the number, at least 1
         * @return this builder
         */
        public Builder optMaxFiles(int value) {
            check("maxFiles", value, value > 0);
            maxFiles = value;
            return this;
        }

        /**
         * Sets how long a connection may take to come about; 10 seconds by default.
         *
         * @param value the time
         * @return this builder
         */
        public Builder optConnectTime(Duration value) {
            check("connectTime", value, !value.isNegative() && !value.isZero());
            connectTime = value;
            return this;
        }

        /**
         * Sets how long an adapter may take to be fetched; 10 minutes by default.
         *
         * @param value the time
         * @return this builder
         */
        public Builder optFetchTime(Duration value) {
            check("fetchTime", value, !value.isNegative() && !value.isZero());
            fetchTime = value;
            return this;
        }

        /**
         * Sets how much may come out of an archive.
         *
         * @param value the limits
         * @return this builder
         */
        public Builder optLimits(FormatLimits value) {
            limits = Objects.requireNonNull(value, "limits");
            return this;
        }

        /**
         * Sets where the Hugging Face hub is.
         *
         * @param value the address of its root; https, or http on this machine
         * @return this builder
         * @throws LoraConfigurationException if it is no such address
         */
        public Builder optHub(URI value) {
            hub = address("hub", value);
            return this;
        }

        /**
         * Sets what says to the hub who asks. It is sent to the hub alone, not where that redirects
         * to.
         *
         * @param value the token
         * @return this builder
         */
        public Builder optHubToken(String value) {
            hubToken = Optional.of(value);
            return this;
        }

        /**
         * Sets where S3 is, for stores that speak its protocol.
         *
         * @param value the address; https, or http on this machine
         * @return this builder
         * @throws LoraConfigurationException if it is no such address
         */
        public Builder optS3Endpoint(URI value) {
            s3Endpoint = Optional.of(address("s3Endpoint", value));
            return this;
        }

        /**
         * Sets the region of buckets.
         *
         * @param value the region, such as {@code eu-central-1}
         * @return this builder
         */
        public Builder optS3Region(String value) {
            s3Region = Optional.of(value);
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         */
        public SourceOptions build() {
            return new SourceOptions(this);
        }

        private static URI address(String name, URI value) {
            boolean secure = "https".equals(value.getScheme());
            boolean here =
                    "http".equals(value.getScheme()) && SourcePolicy.isLoopback(value.getHost());
            if (value.getHost() == null || !secure && !here) {
                throw new LoraConfigurationException(
                        name
                                + " is "
                                + value
                                + "; it must be of https, or of http on this machine");
            }
            return value;
        }

        private static void check(String name, Object value, boolean allowed) {
            if (!allowed) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be above 0");
            }
        }
    }
}
