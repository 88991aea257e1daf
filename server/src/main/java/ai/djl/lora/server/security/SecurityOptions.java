/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.LongSupplier;

/** Who may call a server, how often, and how connections are secured. Immutable. */
public final class SecurityOptions {

    /** Anybody on this machine may do everything. */
    public static final SecurityOptions NONE = builder().build();

    private final List<ApiKey> keys;
    private final Optional<JwtOptions> jwt;
    private final RateLimitOptions rates;
    private final Optional<TlsOptions> tls;
    private final LongSupplier ticker;

    private SecurityOptions(Builder builder) {
        keys = List.copyOf(builder.keys);
        jwt = Optional.ofNullable(builder.jwt);
        rates = builder.rates;
        tls = Optional.ofNullable(builder.tls);
        ticker = builder.ticker;
    }

    /**
     * Returns a builder of options.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns whether callers have to show a key or a token.
     *
     * @return whether they have to
     */
    public boolean isAuthenticating() {
        return !keys.isEmpty() || jwt.isPresent();
    }

    /**
     * Returns how connections are secured.
     *
     * @return the certificate; empty where they are not
     */
    public Optional<TlsOptions> tls() {
        return tls;
    }

    /**
     * Refuses addresses that other machines reach where nobody is asked for a key.
     *
     * @param addresses where the server is to listen
     * @throws LoraConfigurationException naming the first such address
     */
    public void checkAddresses(List<InetAddress> addresses) {
        for (InetAddress address : addresses) {
            if (!isAuthenticating() && !address.isLoopbackAddress()) {
                throw new LoraConfigurationException(
                        "host is "
                                + address.getHostAddress()
                                + ", which other machines reach, and no keys are set; set"
                                + " authentication.keys or authentication.jwt, or listen on"
                                + " 127.0.0.1");
            }
        }
    }

    /**
     * Returns new counters of requests.
     *
     * @return the counters
     */
    public RateLimits newRateLimits() {
        return new RateLimits(rates, keys, ticker);
    }

    /**
     * Returns those who know callers.
     *
     * @return the authenticators; none where nobody is asked
     * @throws LoraConfigurationException if two keys have one name or one hash
     */
    public List<Authenticator> newAuthenticators() {
        List<Authenticator> all = new ArrayList<>();
        if (!keys.isEmpty()) {
            all.add(new ApiKeys(keys));
        }
        jwt.map(JwtAuthenticator::new).ifPresent(all::add);
        return all;
    }

    /** A builder of {@link SecurityOptions}. */
    public static final class Builder {

        private final List<ApiKey> keys = new ArrayList<>();
        private JwtOptions jwt;
        private RateLimitOptions rates = RateLimitOptions.NONE;
        private TlsOptions tls;
        private LongSupplier ticker = System::nanoTime;

        private Builder() {}

        /**
         * Adds a key that callers may show.
         *
         * @param value the key
         * @return this builder
         */
        public Builder addKey(ApiKey value) {
            keys.add(Objects.requireNonNull(value, "key"));
            return this;
        }

        /**
         * Sets which tokens callers may show.
         *
         * @param value the options
         * @return this builder
         */
        public Builder optJwt(JwtOptions value) {
            jwt = value;
            return this;
        }

        /**
         * Sets how often the server may be asked.
         *
         * @param value the limits; none by default
         * @return this builder
         */
        public Builder optRateLimits(RateLimitOptions value) {
            rates = Objects.requireNonNull(value, "rates");
            return this;
        }

        /**
         * Sets how connections are secured.
         *
         * @param value the certificate and its key
         * @return this builder
         */
        public Builder optTls(TlsOptions value) {
            tls = value;
            return this;
        }

        /**
         * Sets the clock of the limits.
         *
         * @param value the time in nanoseconds, as {@link System#nanoTime}
         * @return this builder
         */
        public Builder optTicker(LongSupplier value) {
            ticker = Objects.requireNonNull(value, "ticker");
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         */
        public SecurityOptions build() {
            return new SecurityOptions(this);
        }
    }
}
