/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.util.Optional;

/**
 * A change of an adapter in the registry that is in force and, where the registry is kept on a
 * disk, written.
 *
 * @param sequence the number of the change; adapters that were registered together share it
 * @param name the adapter's own name
 * @param before what was there, empty if the adapter is new
 * @param after what is there, empty if the adapter was unregistered
 */
public record RegistryEvent(
        long sequence,
        String name,
        Optional<RegisteredAdapter> before,
        Optional<RegisteredAdapter> after) {

    /**
     * Returns whether requests for the adapter get another content than before, or none, or some
     * where they got none.
     *
     * @return whether the content changed
     */
    public boolean isContentChanged() {
        return !served(before).equals(served(after));
    }

    private static Optional<String> served(Optional<RegisteredAdapter> adapter) {
        return adapter.filter(found -> !found.retired()).map(found -> found.current().hash());
    }
}
