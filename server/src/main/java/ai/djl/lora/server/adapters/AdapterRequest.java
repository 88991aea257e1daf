/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.registry.AdapterRevision;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What is asked of a revision that is to be registered.
 *
 * @param revision the content hash that it must have; empty for any
 * @param pinned whether the adapter stays on the device; empty for as it was
 * @param priority how much it is worth keeping; empty for as it was
 * @param tenant whose adapter it is; empty for as it was
 * @param metadata what is noted of it
 * @param preload whether it is brought near to the device at once
 */
public record AdapterRequest(
        Optional<String> revision,
        Optional<Boolean> pinned,
        OptionalDouble priority,
        Optional<String> tenant,
        Map<String, String> metadata,
        boolean preload) {

    /** Nothing but a source. */
    public static final AdapterRequest PLAIN =
            new AdapterRequest(
                    Optional.empty(),
                    Optional.empty(),
                    OptionalDouble.empty(),
                    Optional.empty(),
                    Map.of(),
                    true);

    /** How the names of what the server itself notes of a revision begin. */
    static final String OWN_METADATA = "djl-lora.";

    /** What the source was called by whoever registered it. */
    static final String SOURCE = OWN_METADATA + "source";

    /** Is there where an adapter was not to be loaded before it is asked for. */
    static final String NO_PRELOAD = OWN_METADATA + "no-preload";

    /**
     * Returns the settings with which the store registers it.
     *
     * @param source the source as it was given
     * @return the settings
     */
    AdapterSettings settings(String source) {
        Map<String, String> noted = new HashMap<>(metadata);
        noted.put(SOURCE, source);
        if (!preload) {
            noted.put(NO_PRELOAD, "");
        }
        AdapterSettings.Builder settings = AdapterSettings.builder().optMetadata(noted);
        revision.ifPresent(
                hash -> settings.optPolicy(LoadingPolicy.builder().optRevision(hash).build()));
        pinned.ifPresent(settings::optPinned);
        priority.ifPresent(settings::optPriority);
        tenant.ifPresent(settings::optTenant);
        return settings.build();
    }

    /**
     * Returns a revision's source as it was given.
     *
     * @param revision the revision
     * @return what whoever registered it called it
     */
    public static String sourceOf(AdapterRevision revision) {
        return revision.metadata().getOrDefault(SOURCE, revision.source().toString());
    }
}
