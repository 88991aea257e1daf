/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Changes a registry without end, each step a change that follows from its number and the state
 * alone: whoever has made as many steps has the same registry. As a program it does so until it is
 * killed, and prints the number of each change once it is confirmed.
 */
final class RegistrySteps {

    private RegistrySteps() {}

    public static void main(String[] args) {
        RegistryOptions options =
                Registries.options().optCompactionBytes(Long.parseLong(args[1])).build();
        AdapterRegistry registry = AdapterRegistry.open(Path.of(args[0]), options);
        while (true) {
            step(registry);
            System.out.println(registry.sequence());
        }
    }

    /** Makes exactly one change. */
    static void step(AdapterRegistry registry) {
        long number = registry.sequence() + 1;
        SplittableRandom random = new SplittableRandom(number);
        List<RegisteredAdapter> adapters = registry.list();
        if (adapters.size() < 8) {
            registry.register(registration("a" + number, number, random));
            return;
        }
        RegisteredAdapter adapter = adapters.get(random.nextInt(adapters.size()));
        String name = adapter.name();
        boolean free = !registry.aliases().containsValue(name);
        switch (random.nextInt(7)) {
            case 0 -> registry.reregister(registration(name, number, random));
            case 1 -> registry.setMetadata(name, Map.of("step", "" + number));
            case 2 -> registry.setPriority(name, number);
            case 3 -> registry.alias("alias" + random.nextInt(4) + "-" + number % 2, name);
            case 4 ->
                    registry.putAll(
                            List.of(
                                    registration("a" + number, number, random),
                                    registration(name, number, random)));
            default -> {
                if (free && adapters.size() > 8) {
                    registry.unregister(name);
                } else if (adapter.pinned()) {
                    registry.unpin(name);
                } else {
                    registry.pin(name);
                }
            }
        }
        if (registry.sequence() == number - 1) {
            registry.setPriority(name, -number); // the alias was so already
        }
    }

    private static Registration registration(String name, long number, SplittableRandom random) {
        byte[] checksums = new byte[random.nextInt(3) == 0 ? 6_000 : 40];
        random.nextBytes(checksums);
        return Registries.registration(name, number).optValidated(checksums).build();
    }
}
