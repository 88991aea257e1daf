/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.util.Optional;
import java.util.Set;

/**
 * A key that callers show.
 *
 * @param name who has it, for logs and limits
 * @param hash the key's hash
 * @param roles what it is for
 * @param tenant for whom its callers work; requests of one tenant share its part of the engine
 * @param adapters which adapters its callers may use and see
 * @param rate how often it may be used; empty for what holds for all keys
 */
public record ApiKey(
        String name,
        KeyHash hash,
        Set<Role> roles,
        String tenant,
        AdapterAccess adapters,
        Optional<RateLimit> rate) {

    /**
     * Constructs a new {@code ApiKey} instance.
     *
     * @param name who has it, for logs and limits
     * @param hash the key's hash
     * @param roles what it is for; copied
     * @param tenant for whom its callers work
     * @param adapters which adapters its callers may use and see
     * @param rate how often it may be used; empty for what holds for all keys
     * @throws LoraConfigurationException if the name is blank or begins as those of tokens do, or
     *     there is no role
     */
    public ApiKey {
        roles = Set.copyOf(roles);
        if (name.isBlank() || name.startsWith(JwtAuthenticator.NAMES)) {
            throw new LoraConfigurationException(
                    "a key's name is \""
                            + name
                            + "\"; it must not be blank and not begin with "
                            + JwtAuthenticator.NAMES);
        }
        if (roles.isEmpty()) {
            throw new LoraConfigurationException("key " + name + " has no role");
        }
    }

    /**
     * Returns a key of one role for every adapter.
     *
     * @param name who has it
     * @param hash the key's hash
     * @param role what it is for
     * @return the key
     */
    public static ApiKey of(String name, KeyHash hash, Role role) {
        return new ApiKey(name, hash, Set.of(role), "", AdapterAccess.ALL, Optional.empty());
    }
}
