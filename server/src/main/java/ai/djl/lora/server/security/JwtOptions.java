/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** Which JSON web tokens are accepted, and what their claims mean. Immutable. */
public final class JwtOptions {

    private final String issuer;
    private final String audience;
    private final URI jwks;
    private final String rolesClaim;
    private final String inferRole;
    private final String manageRole;
    private final String tenantClaim;
    private final Optional<String> adaptersClaim;
    private final Duration skew;
    private final Duration cacheTime;
    private final Clock clock;

    private JwtOptions(Builder builder) {
        issuer = required("issuer", builder.issuer);
        audience = required("audience", builder.audience);
        jwks = builder.jwks;
        rolesClaim = required("rolesClaim", builder.rolesClaim);
        inferRole = required("inferRole", builder.inferRole);
        manageRole = required("manageRole", builder.manageRole);
        tenantClaim = required("tenantClaim", builder.tenantClaim);
        adaptersClaim = Optional.ofNullable(builder.adaptersClaim);
        skew = builder.skew;
        cacheTime = builder.cacheTime;
        clock = builder.clock;
        checkJwks(jwks);
        if (skew.isNegative() || skew.compareTo(Duration.ofMinutes(5)) > 0) {
            throw new LoraConfigurationException(
                    "jwt skew is " + skew + "; it must be from 0 to 5 minutes");
        }
        if (cacheTime.compareTo(Duration.ofMinutes(1)) < 0) {
            throw new LoraConfigurationException(
                    "jwt cacheTime is " + cacheTime + "; it must be a minute or more");
        }
    }

    private static String required(String name, String value) {
        if (value == null || value.isBlank()) {
            throw new LoraConfigurationException("jwt " + name + " is missing");
        }
        return value;
    }

    /* Whoever could change the keys on their way could make tokens. */
    private static void checkJwks(URI uri) {
        if (uri == null || uri.getHost() == null) {
            throw new LoraConfigurationException(
                    "jwt jwks is " + uri + "; it must be the URL of the issuer's keys");
        }
        boolean local = false;
        if ("http".equals(uri.getScheme())) {
            try {
                local = InetAddress.getByName(uri.getHost()).isLoopbackAddress();
            } catch (UnknownHostException e) {
                throw new LoraConfigurationException(
                        "jwt jwks names the host " + uri.getHost() + ", which is not known", e);
            }
        }
        if (!local && !"https".equals(uri.getScheme())) {
            throw new LoraConfigurationException(
                    "jwt jwks is " + uri + "; it must be of https, or of this machine");
        }
    }

    /**
     * Returns a builder of options.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    String issuer() {
        return issuer;
    }

    String audience() {
        return audience;
    }

    URI jwks() {
        return jwks;
    }

    String rolesClaim() {
        return rolesClaim;
    }

    String inferRole() {
        return inferRole;
    }

    String manageRole() {
        return manageRole;
    }

    String tenantClaim() {
        return tenantClaim;
    }

    Optional<String> adaptersClaim() {
        return adaptersClaim;
    }

    Duration skew() {
        return skew;
    }

    Duration cacheTime() {
        return cacheTime;
    }

    Clock clock() {
        return clock;
    }

    /** A builder of {@link JwtOptions}. */
    public static final class Builder {

        private String issuer;
        private String audience;
        private URI jwks;
        private String rolesClaim = "roles";
        private String inferRole = "infer";
        private String manageRole = "manage";
        private String tenantClaim = "tenant";
        private String adaptersClaim;
        private Duration skew = Duration.ofMinutes(1);
        private Duration cacheTime = Duration.ofMinutes(15);
        private Clock clock = Clock.systemUTC();

        private Builder() {}

        /**
         * Sets who issues the tokens.
         *
         * @param value what the claim {@code iss} must be
         * @return this builder
         */
        public Builder setIssuer(String value) {
            issuer = value;
            return this;
        }

        /**
         * Sets for whom the tokens must be.
         *
         * @param value what the claim {@code aud} must have among its values
         * @return this builder
         */
        public Builder setAudience(String value) {
            audience = value;
            return this;
        }

        /**
         * Sets where the issuer's public keys are.
         *
         * @param value the URL of a JSON web key set, by https or of this machine
         * @return this builder
         */
        public Builder setJwks(URI value) {
            jwks = value;
            return this;
        }

        /**
         * Sets which claim has the roles.
         *
         * @param value the claim, a point before each part within another, as in {@code
         *     realm_access.roles}; it may be a list, or words with spaces between them as {@code
         *     scope} is. By default {@code roles}
         * @return this builder
         */
        public Builder optRolesClaim(String value) {
            rolesClaim = value;
            return this;
        }

        /**
         * Sets which role is that of inference.
         *
         * @param value the role; {@code infer} by default
         * @return this builder
         */
        public Builder optInferRole(String value) {
            inferRole = value;
            return this;
        }

        /**
         * Sets which role is that of management.
         *
         * @param value the role; {@code manage} by default
         * @return this builder
         */
        public Builder optManageRole(String value) {
            manageRole = value;
            return this;
        }

        /**
         * Sets which claim has the tenant.
         *
         * @param value the claim; {@code tenant} by default
         * @return this builder
         */
        public Builder optTenantClaim(String value) {
            tenantClaim = value;
            return this;
        }

        /**
         * Sets which claim has the names and patterns of the adapters that a caller may use, as a
         * list or as words. A token without it may use none then, and not the base model, which is
         * the empty name in a list.
         *
         * @param value the claim; by default none is looked at, and every adapter may be used
         * @return this builder
         */
        public Builder optAdaptersClaim(String value) {
            adaptersClaim = value;
            return this;
        }

        /**
         * Sets how much the issuer's clock may differ from this machine's.
         *
         * @param value the time, five minutes at most; a minute by default
         * @return this builder
         */
        public Builder optSkew(Duration value) {
            skew = Objects.requireNonNull(value, "skew");
            return this;
        }

        /**
         * Sets how long the issuer's keys are kept before they are asked for again. A token of a
         * key that is not known makes the server ask at once, every half minute at most.
         *
         * @param value the time, a minute or more; 15 minutes by default
         * @return this builder
         */
        public Builder optCacheTime(Duration value) {
            cacheTime = Objects.requireNonNull(value, "cacheTime");
            return this;
        }

        /**
         * Sets the clock.
         *
         * @param value the clock
         * @return this builder
         */
        public Builder optClock(Clock value) {
            clock = Objects.requireNonNull(value, "clock");
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         * @throws LoraConfigurationException naming the first value that is missing or wrong
         */
        public JwtOptions build() {
            return new JwtOptions(this);
        }
    }
}
