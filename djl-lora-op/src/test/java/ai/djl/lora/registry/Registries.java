/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;

/** Registries and registrations for tests. */
final class Registries {

    /** A time that does not pass, so that two registries with the same changes are equal. */
    static final InstantSource CLOCK =
            InstantSource.fixed(Instant.ofEpochMilli(1_700_000_000_000L));

    private Registries() {}

    static RegistryOptions.Builder options() {
        return RegistryOptions.builder()
                .optClock(CLOCK)
                .optStatisticsInterval(Duration.ZERO)
                .optCompactionBytes(1 << 20);
    }

    static AdapterRegistry inMemory() {
        return AdapterRegistry.inMemory(options().build());
    }

    static AdapterRegistry open(Path directory) {
        return AdapterRegistry.open(directory, options().build());
    }

    static String hash(long content) {
        return String.format("%064x", content);
    }

    static Registration.Builder registration(String name, long content) {
        return Registration.builder()
                .setName(name)
                .setHash(hash(content))
                .setSource(Path.of("/adapters", name, "v" + content))
                .setBytes(1000 + content);
    }

    /** What a registry holds, to be compared. */
    record Content(long sequence, List<RegisteredAdapter> adapters, Map<String, String> aliases) {}

    static Content content(AdapterRegistry registry) {
        return new Content(registry.sequence(), registry.list(), registry.aliases());
    }
}
