/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.server.http.Permission;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** What a key or a token is for. */
public enum Role {
    /** To have text generated, and to see the adapters that it may use. */
    INFER(Set.of(Permission.INFER)),
    /** All of that, and to change adapters. */
    MANAGE(Set.of(Permission.INFER, Permission.MANAGE));

    private final Set<Permission> permissions;

    Role(Set<Permission> permissions) {
        this.permissions = permissions;
    }

    /**
     * Returns what the role allows.
     *
     * @return the permissions
     */
    public Set<Permission> permissions() {
        return permissions;
    }

    /**
     * Returns the role's name in configuration files.
     *
     * @return the name, in lower case
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Returns the names of all roles.
     *
     * @return the names
     */
    public static List<String> labels() {
        return Stream.of(values()).map(Role::label).toList();
    }

    /**
     * Returns the role of a name.
     *
     * @param label the name
     * @return the role; empty if there is none
     */
    public static Optional<Role> ofLabel(String label) {
        return Stream.of(values()).filter(role -> role.label().equals(label)).findFirst();
    }

    /**
     * Returns what several roles allow together.
     *
     * @param roles the roles
     * @return the permissions
     */
    static Set<Permission> permissionsOf(Set<Role> roles) {
        Set<Permission> all = EnumSet.noneOf(Permission.class);
        roles.forEach(role -> all.addAll(role.permissions));
        return all;
    }
}
