/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.registry.RegistryChange.PutAdapter;
import ai.djl.lora.registry.RegistryChange.PutAlias;
import ai.djl.lora.registry.RegistryChange.RemoveAdapter;
import ai.djl.lora.registry.RegistryChange.RemoveAlias;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.StampedLock;
import java.util.function.Supplier;

/**
 * What the registry knows, in memory. Changes come from one thread at a time; readers never wait
 * for a disk, and see each change whole.
 *
 * <p>A lookup by an adapter's own name is one access to a map. What needs several is done
 * optimistically and repeated if a change came in between; only when that happens does a reader
 * wait, for as long as it takes to put one change into the maps.
 */
final class RegistryState {

    private final Map<String, RegisteredAdapter> adapters = new ConcurrentHashMap<>();
    private final Map<String, String> aliases = new ConcurrentHashMap<>();
    private final StampedLock lock = new StampedLock();

    void apply(List<RegistryChange> changes) {
        long stamp = lock.writeLock();
        try {
            changes.forEach(this::apply);
        } finally {
            lock.unlockWrite(stamp);
        }
    }

    private void apply(RegistryChange change) {
        if (change instanceof PutAdapter put) {
            adapters.put(put.adapter().name(), put.adapter());
        } else if (change instanceof RemoveAdapter remove) {
            adapters.remove(remove.name());
        } else if (change instanceof PutAlias put) {
            aliases.put(put.alias(), put.target());
        } else if (change instanceof RemoveAlias remove) {
            aliases.remove(remove.alias());
        }
    }

    /** Returns an adapter by its own name, null if there is none. */
    RegisteredAdapter get(String name) {
        return adapters.get(name);
    }

    /** Returns an adapter by its name or an alias. */
    Optional<RegisteredAdapter> find(String name) {
        RegisteredAdapter adapter = adapters.get(name);
        if (adapter != null) {
            return Optional.of(adapter);
        }
        return aliases.isEmpty() ? Optional.empty() : atOnce(() -> follow(name));
    }

    /** Returns what a name stands for itself, null if it is no alias. */
    String target(String alias) {
        return aliases.get(alias);
    }

    boolean isTaken(String name) {
        return adapters.containsKey(name) || aliases.containsKey(name);
    }

    /** Returns the aliases that stand for a name themselves, not through another one. */
    List<String> aliasesOf(String name) {
        return aliases.entrySet().stream()
                .filter(entry -> entry.getValue().equals(name))
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    /** Returns the names through which an alias that stands for the target would lead. */
    List<String> chain(String target) {
        List<String> chain = new ArrayList<>();
        for (String name = target; name != null; name = aliases.get(name)) {
            chain.add(name);
        }
        return chain;
    }

    List<RegisteredAdapter> adapters() {
        return atOnce(() -> new ArrayList<>(adapters.values()));
    }

    Map<String, String> aliases() {
        return atOnce(() -> new TreeMap<>(aliases));
    }

    Set<String> names() {
        return atOnce(
                () -> {
                    Set<String> names = new HashSet<>(adapters.keySet());
                    names.addAll(aliases.keySet());
                    return names;
                });
    }

    int size() {
        return adapters.size();
    }

    /**
     * Throws if a name leads nowhere, in a circle, or to two things.
     *
     * @throws IllegalArgumentException if so
     */
    void check() {
        for (String alias : aliases.keySet()) {
            if (adapters.containsKey(alias) || follow(alias).isEmpty()) {
                throw new IllegalArgumentException("an alias leads nowhere or is an adapter");
            }
        }
    }

    private Optional<RegisteredAdapter> follow(String alias) {
        String name = alias;
        // as many steps as there are aliases: while a change is made they may lead in a circle
        for (int i = aliases.size(); i >= 0; --i) {
            RegisteredAdapter adapter = adapters.get(name);
            if (adapter != null) {
                return Optional.of(adapter);
            }
            name = aliases.get(name);
            if (name == null) {
                return Optional.empty();
            }
        }
        return Optional.empty();
    }

    private <T> T atOnce(Supplier<T> reading) {
        long stamp = lock.tryOptimisticRead();
        if (stamp != 0) {
            T result = reading.get();
            if (lock.validate(stamp)) {
                return result;
            }
        }
        stamp = lock.readLock();
        try {
            return reading.get();
        } finally {
            lock.unlockRead(stamp);
        }
    }
}
