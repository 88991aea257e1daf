/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.server.security.AdapterAccess;
import ai.djl.lora.server.security.ApiKey;
import ai.djl.lora.server.security.JwtOptions;
import ai.djl.lora.server.security.KeyHash;
import ai.djl.lora.server.security.RateLimit;
import ai.djl.lora.server.security.Role;
import ai.djl.lora.server.security.SecurityOptions;
import ai.djl.lora.server.security.TlsOptions;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;

/** The sections of a server's file that say who may call it, how often, and how it is secured. */
final class SecuritySections {

    private final SecurityOptions.Builder options = SecurityOptions.builder();
    private final Function<String, Path> resolve;
    private final Set<String> names = new HashSet<>();
    private final Set<String> hashes = new HashSet<>();

    /**
     * Constructs a new {@code SecuritySections} instance.
     *
     * @param resolve makes a path of what the file has
     */
    SecuritySections(Function<String, Path> resolve) {
        this.resolve = resolve;
    }

    SecurityOptions parse(ConfigSection root) {
        root.section("tls", this::tls);
        ConfigSection authentication = root.section("authentication");
        authentication.items("keys", this::key);
        jwt(authentication.section("jwt"));
        authentication.end();
        options.optRateLimits(LimitSections.rates(root.section("rateLimits")));
        return options.build();
    }

    private void tls(ConfigSection section) {
        Path[] files = new Path[2];
        section.text("certificate", value -> files[0] = resolve.apply(value));
        section.text("key", value -> files[1] = resolve.apply(value));
        Duration[] reload = {TlsOptions.DEFAULT_RELOAD};
        section.time(
                "reload",
                Duration.ofMillis(100),
                Duration.ofDays(1),
                value -> reload[0] = value);
        section.require("certificate");
        section.require("key");
        if (files[0] == null || files[1] == null) {
            return;
        }
        TlsOptions tls = new TlsOptions(files[0], files[1], reload[0]);
        try {
            tls.open();
            options.optTls(tls);
        } catch (LoraConfigurationException e) {
            section.problem("certificate", e.getMessage());
        }
    }

    private void key(ConfigSection section) {
        String[] name = new String[1];
        KeyHash[] hash = new KeyHash[1];
        Set<Role> roles = EnumSet.of(Role.INFER);
        String[] tenant = {""};
        AtomicReference<AdapterAccess> access = new AtomicReference<>(AdapterAccess.ALL);
        boolean[] base = {true};
        section.text("name", value -> name[0] = value);
        section.text("hash", value -> hash[0] = KeyHash.parse(value));
        section.list("roles", values -> setRoles(values, roles));
        section.text("tenant", value -> tenant[0] = value);
        section.list("adapters", values -> access.set(new AdapterAccess(values, true)));
        section.flag("base", value -> base[0] = value);
        ConfigSection own = section.section("rate");
        Optional<RateLimit> rate = LimitSections.rate(own);
        section.require("name");
        section.require("hash");
        section.end();
        section.checkThat("name", name[0] == null || names.add(name[0]), "is another key's too");
        section.checkThat(
                "hash", hash[0] == null || hashes.add(hash[0].toString()), "is another key's too");
        if (name[0] == null || hash[0] == null) {
            return;
        }
        AdapterAccess allowed = new AdapterAccess(access.get().patterns(), base[0]);
        try {
            options.addKey(new ApiKey(name[0], hash[0], roles, tenant[0], allowed, rate));
        } catch (LoraConfigurationException e) {
            section.problem("name", e.getMessage());
        }
    }

    private static void setRoles(List<String> values, Set<Role> roles) {
        if (values.isEmpty()) {
            throw new LoraConfigurationException("a key needs a role");
        }
        roles.clear();
        for (String value : values) {
            roles.add(
                    Role.ofLabel(value)
                            .orElseThrow(
                                    () ->
                                            new LoraConfigurationException(
                                                    "there is no role "
                                                            + value
                                                            + "; allowed are "
                                                            + String.join(", ", Role.labels()))));
        }
    }

    private void jwt(ConfigSection section) {
        JwtOptions.Builder jwt = JwtOptions.builder();
        section.text("issuer", jwt::setIssuer);
        section.text("audience", jwt::setAudience);
        section.text("jwks", value -> jwt.setJwks(URI.create(value)));
        section.text("rolesClaim", jwt::optRolesClaim);
        section.text("inferRole", jwt::optInferRole);
        section.text("manageRole", jwt::optManageRole);
        section.text("tenantClaim", jwt::optTenantClaim);
        section.text("adaptersClaim", jwt::optAdaptersClaim);
        section.time("skew", Duration.ZERO, Duration.ofMinutes(5), jwt::optSkew);
        section.time("cacheTime", Duration.ofMinutes(1), Duration.ofDays(1), jwt::optCacheTime);
        section.require("issuer");
        section.require("audience");
        section.require("jwks");
        section.end();
        if (section.isPresent()) {
            try {
                options.optJwt(jwt.build());
            } catch (LoraConfigurationException e) {
                section.problem("issuer", e.getMessage());
            }
        }
    }
}
