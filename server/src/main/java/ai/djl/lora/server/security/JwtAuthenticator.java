/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.HttpFailure;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.KeySourceException;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.MalformedURLException;
import java.text.ParseException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Knows callers by JSON web tokens (RFC 7519) of one OpenID issuer. Its public keys are fetched and
 * kept; tokens that are signed by a shared secret, or by nothing, are never accepted.
 */
public final class JwtAuthenticator implements Authenticator {

    /** What the names of callers begin with that are known by a token. */
    static final String NAMES = "jwt:";

    private static final Logger logger = LoggerFactory.getLogger(JwtAuthenticator.class);

    private static final Set<JWSAlgorithm> ALGORITHMS =
            Set.of(
                    JWSAlgorithm.RS256,
                    JWSAlgorithm.RS384,
                    JWSAlgorithm.RS512,
                    JWSAlgorithm.PS256,
                    JWSAlgorithm.PS384,
                    JWSAlgorithm.PS512,
                    JWSAlgorithm.ES256,
                    JWSAlgorithm.ES384,
                    JWSAlgorithm.ES512);

    /** How long the issuer may take to be reached, and to answer. */
    private static final int FETCH_MILLIS = 2000;

    private static final int MOST_JWKS_BYTES = 1 << 20;
    private static final int LONGEST_TOKEN = 16 << 10;

    /** How long old keys are used while the issuer cannot be reached. */
    private static final Duration OUTAGE = Duration.ofHours(4);

    private final JwtOptions options;
    private final DefaultJWTProcessor<SecurityContext> processor;

    /**
     * Constructs a new {@code JwtAuthenticator} instance. The issuer is not asked for its keys
     * before the first token.
     *
     * @param options which tokens are accepted
     */
    public JwtAuthenticator(JwtOptions options) {
        this.options = options;
        processor = new DefaultJWTProcessor<>();
        processor.setJWSTypeVerifier(
                new DefaultJOSEObjectTypeVerifier<>(
                        JOSEObjectType.JWT, new JOSEObjectType("at+jwt"), null));
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(ALGORITHMS, keys(options)));
        processor.setJWTClaimsSetVerifier(new Claims(options));
    }

    private static JWKSource<SecurityContext> keys(JwtOptions options) {
        try {
            long cached = options.cacheTime().toMillis();
            return JWKSourceBuilder.create(
                            options.jwks().toURL(),
                            new DefaultResourceRetriever(
                                    FETCH_MILLIS, FETCH_MILLIS, MOST_JWKS_BYTES))
                    .cache(cached, 2L * FETCH_MILLIS + 1000)
                    .outageTolerant(OUTAGE.toMillis())
                    .build();
        } catch (MalformedURLException e) {
            throw new LoraConfigurationException(
                    "jwt jwks is " + options.jwks() + ", which is no URL", e);
        }
    }

    /** Checks issuer, audience and times. */
    private static final class Claims extends DefaultJWTClaimsVerifier<SecurityContext> {

        private final Clock clock;

        Claims(JwtOptions options) {
            super(
                    // the library asks sets whether they have null
                    new HashSet<>(List.of(options.audience())),
                    new JWTClaimsSet.Builder().issuer(options.issuer()).build(),
                    new HashSet<>(List.of("exp", "sub")),
                    new HashSet<>());
            clock = options.clock();
            setMaxClockSkew((int) options.skew().toSeconds());
        }

        /** {@inheritDoc} */
        @Override
        protected Date currentTime() {
            return Date.from(clock.instant());
        }
    }

    /** {@inheritDoc} */
    @Override
    public Optional<Caller> authenticate(String credential) {
        if (credential.length() > LONGEST_TOKEN
                || credential.chars().filter(c -> c == '.').count() != 2) {
            return Optional.empty();
        }
        try {
            return Optional.of(caller(processor.process(SignedJWT.parse(credential), null)));
        } catch (ParseException e) {
            return Optional.empty();
        } catch (BadJOSEException e) {
            throw refused(reason(e), e);
        } catch (KeySourceException e) {
            logger.warn("The keys of {} cannot be had", options.issuer(), e);
            throw new HttpFailure(
                    503,
                    "authentication_unavailable",
                    "the token cannot be checked now, since its issuer's keys cannot be had",
                    null,
                    Map.of("Retry-After", "5"),
                    e);
        } catch (JOSEException e) {
            throw refused("it cannot be checked", e);
        }
    }

    /* The library's texts name what was expected, which is no secret, but may quote the token. */
    private static String reason(BadJOSEException e) {
        String message = String.valueOf(e.getMessage());
        if (message.contains("missing")) {
            return "a claim is missing that is required (exp, sub)";
        }
        if (message.contains("Expired")) {
            return "it has expired";
        }
        if (message.contains("before use")) {
            return "it is not valid yet";
        }
        if (message.contains("audience") || message.contains("aud")) {
            return "it is for another audience";
        }
        if (message.contains("iss")) {
            return "it is of another issuer";
        }
        return "its signature does not hold, or is of a key that the issuer does not have";
    }

    private static HttpFailure refused(String why, Exception cause) {
        return new HttpFailure(
                401,
                "invalid_token",
                "the token is not accepted: " + why,
                null,
                Map.of("WWW-Authenticate", "Bearer realm=\"djl-lora\", error=\"invalid_token\""),
                cause);
    }

    private Caller caller(JWTClaimsSet claims) {
        List<String> named = words(claim(claims, options.rolesClaim()));
        Set<Role> roles = EnumSet.noneOf(Role.class);
        if (named.contains(options.inferRole())) {
            roles.add(Role.INFER);
        }
        if (named.contains(options.manageRole())) {
            roles.add(Role.MANAGE);
        }
        String tenant = claim(claims, options.tenantClaim()) instanceof String text ? text : "";
        AdapterAccess adapters =
                options.adaptersClaim()
                        .map(name -> access(words(claim(claims, name))))
                        .orElse(AdapterAccess.ALL);
        return new Caller(NAMES + claims.getSubject(), tenant, Role.permissionsOf(roles), adapters);
    }

    private static AdapterAccess access(List<String> names) {
        return new AdapterAccess(
                names.stream().filter(name -> !name.isBlank()).toList(), names.contains(""));
    }

    private static Object claim(JWTClaimsSet claims, String path) {
        Object value = claims.getClaim(path);
        if (value != null) {
            return value;
        }
        value = claims.getClaims();
        for (String part : path.split("\\.")) {
            value = value instanceof Map<?, ?> map ? map.get(part) : null;
        }
        return value;
    }

    private static List<String> words(Object claim) {
        List<String> words = new ArrayList<>();
        if (claim instanceof String text) {
            words.addAll(List.of(text.trim().split("\\s+")));
            words.remove("");
        } else if (claim instanceof Collection<?> list) {
            list.forEach(
                    each -> {
                        if (each instanceof String text) {
                            words.add(text);
                        }
                    });
        }
        return words;
    }
}
