/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.http.Caller;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Knows callers by API keys, of which it has the hashes alone. */
final class ApiKeys implements Authenticator {

    private final List<ApiKey> keys;

    /**
     * Constructs a new {@code ApiKeys} instance.
     *
     * @param keys the keys
     * @throws LoraConfigurationException if two have one name or one hash
     */
    ApiKeys(List<ApiKey> keys) {
        this.keys = List.copyOf(keys);
        Set<String> names = new HashSet<>();
        Set<String> hashes = new HashSet<>();
        for (ApiKey key : keys) {
            if (!names.add(key.name())) {
                throw new LoraConfigurationException("two keys have the name " + key.name());
            }
            if (!hashes.add(key.hash().toString())) {
                throw new LoraConfigurationException(
                        "key " + key.name() + " has the hash of another key");
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public Optional<Caller> authenticate(String credential) {
        if (credential.length() < KeyHash.LEAST_LENGTH) {
            return Optional.empty();
        }
        byte[] digest = KeyHash.sha256(credential);
        ApiKey found = null;
        for (ApiKey key : keys) {
            // all are compared, so that the time does not tell which one it was
            if (key.hash().matches(digest)) {
                found = key;
            }
        }
        return Optional.ofNullable(found)
                .map(
                        key ->
                                new Caller(
                                        key.name(),
                                        key.tenant(),
                                        Role.permissionsOf(key.roles()),
                                        key.adapters()));
    }
}
