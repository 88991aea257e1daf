/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.Set;
import java.util.function.Predicate;

/**
 * Who sends a request, as far as the server knows.
 *
 * @param name the name, for logs and limits; never a secret
 * @param tenant for whom the caller works; requests of one tenant share its part of the engine
 * @param permissions what the caller may do
 * @param adapters whether the caller may use and see the adapter of a name; "" is the base model
 */
public record Caller(
        String name, String tenant, Set<Permission> permissions, Predicate<String> adapters) {

    /** Whoever calls a server that asks nobody who they are. */
    public static final Caller ANYBODY =
            new Caller("", "", Set.of(Permission.values()), adapter -> true);

    /** Whoever did not say who they are. */
    public static final Caller NOBODY =
            new Caller("", "", Set.of(Permission.NONE), adapter -> false);

    /**
     * Constructs a new {@code Caller} instance.
     *
     * @param name the name, for logs and limits; never a secret
     * @param tenant for whom the caller works; requests of one tenant share its part of the engine
     * @param permissions what the caller may do
     * @param adapters whether the caller may use and see the adapter of a name; "" is the base
     *     model
     */
    public Caller {
        permissions = Set.copyOf(permissions);
    }

    /**
     * Returns whether the caller may do something.
     *
     * @param permission what it takes
     * @return whether the caller may
     */
    public boolean may(Permission permission) {
        return permission == Permission.NONE || permissions.contains(permission);
    }
}
