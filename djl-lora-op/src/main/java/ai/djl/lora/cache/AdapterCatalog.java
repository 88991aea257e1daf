/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraAdapterNotFoundException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.registry.AdapterRegistry;
import java.util.Collection;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/**
 * Which names lead to which adapters and stacks of a store. Lookups take no lock; whoever changes
 * several names at once holds this object's monitor.
 */
final class AdapterCatalog {

    /** More names than these are counted and not listed in messages. */
    private static final int LISTED = 20;

    /** How the names of candidates begin, as no adapter's or alias's name may. */
    private static final String CANDIDATE = " ";

    private final AdapterRegistry registry;
    private final Map<String, ManagedAdapter> adapters = new ConcurrentHashMap<>();
    private final Map<String, Stack> stacks = new ConcurrentHashMap<>();
    private final Map<String, ManagedAdapter> candidates = new ConcurrentHashMap<>();
    private final Set<String> reserved = new TreeSet<>();
    private volatile boolean closed;

    /**
     * Constructs a new {@code AdapterCatalog} instance.
     *
     * @param registry what knows aliases
     */
    AdapterCatalog(AdapterRegistry registry) {
        this.registry = registry;
    }

    /** Keeps a name for an adapter that is being read. */
    synchronized void reserve(String name) {
        checkName(name, "An adapter's");
        checkFree(name);
        reserved.add(name);
    }

    synchronized void unreserve(String name) {
        reserved.remove(name);
    }

    void checkName(String name, String whose) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException(whose + " name must not be blank");
        }
        checkOpen();
    }

    private void checkFree(String name) {
        if (adapters.containsKey(name) || reserved.contains(name)) {
            throw new LoraConfigurationException(
                    "Adapter \"" + name + "\" is registered already; unregister it first");
        }
        if (stacks.containsKey(name)) {
            throw new LoraConfigurationException(
                    "\"" + name + "\" is a stack already; unregister it first");
        }
    }

    /** Lets a name lead to an adapter. Returns what it led to before, or null. */
    ManagedAdapter put(ManagedAdapter adapter) {
        checkOpen();
        return adapters.put(adapter.name(), adapter);
    }

    /** Takes an adapter's name away. Returns whether the name led to it. */
    boolean remove(ManagedAdapter adapter) {
        return adapters.remove(adapter.name(), adapter);
    }

    synchronized void putStack(String name, Map<String, Float> parts, Consumer<String> checkPart) {
        checkName(name, "A stack's");
        if (parts.isEmpty()) {
            throw new LoraConfigurationException("Stack \"" + name + "\" has no adapters");
        }
        checkFree(name);
        parts.forEach(
                (part, weight) -> {
                    checkPart.accept(part);
                    checkWeight(name, part, weight);
                });
        stacks.put(name, new Stack(parts));
    }

    private static void checkWeight(String stack, String part, Float weight) {
        if (weight == null || !Float.isFinite(weight)) {
            throw new LoraConfigurationException(
                    "Stack \""
                            + stack
                            + "\" gives \""
                            + part
                            + "\" the weight "
                            + weight
                            + "; it must be finite");
        }
    }

    boolean removeStack(String name) {
        return stacks.remove(name) != null;
    }

    /** Refuses a name that is a stack's. */
    void checkNoStack(String name) {
        if (stacks.containsKey(name)) {
            throw new LoraConfigurationException("\"" + name + "\" is a stack already");
        }
    }

    /** Refuses an adapter that a stack is made of. */
    void checkInNoStack(String name) {
        stackWith(name)
                .ifPresent(
                        stack -> {
                            throw new LoraConfigurationException(
                                    "Adapter \""
                                            + name
                                            + "\" is part of stack \""
                                            + stack
                                            + "\"; unregister the stack first");
                        });
    }

    /** Refuses a revision that cannot be added to others where a stack would have to. */
    void checkStackable(String name, AdapterNotes notes) {
        if (!notes.stackable() && stackWith(name).isPresent()) {
            throw new LoraVariantException(
                    "Adapter \""
                            + name
                            + "\" is part of a stack; the new revision is "
                            + notes.variants()
                            + ", and only plain low-rank products can be weighted and added");
        }
    }

    private Optional<String> stackWith(String name) {
        return stacks.entrySet().stream()
                .filter(stack -> stack.getValue().names().contains(name))
                .map(Map.Entry::getKey)
                .findFirst();
    }

    /** Returns the parts that a name stands for: of a stack, or the one adapter. */
    Stack partsOf(String name) {
        checkOpen();
        Stack stack = stacks.get(name);
        return stack != null ? stack : Stack.of(name);
    }

    /** Returns the adapter that a name or an alias leads to, or refuses. */
    ManagedAdapter find(String name) {
        ManagedAdapter adapter = adapters.get(name);
        if (adapter == null && name.startsWith(CANDIDATE)) {
            adapter = candidate(name);
        }
        return adapter != null ? adapter : byAlias(name);
    }

    /* Who asked for a candidate that is none any more gets what its adapter's name leads to. */
    private ManagedAdapter candidate(String name) {
        ManagedAdapter candidate = candidates.get(name);
        int end = name.lastIndexOf('#');
        return candidate == null && end > 0
                ? adapters.get(name.substring(CANDIDATE.length(), end))
                : candidate;
    }

    /**
     * Lets a name of its own lead to a revision that may take an adapter's place.
     *
     * @param adapter the revision
     * @return the name
     */
    synchronized String putCandidate(ManagedAdapter adapter) {
        checkOpen();
        String name = CANDIDATE + adapter.id();
        checkNoStack(name);
        candidates.put(name, adapter);
        return name;
    }

    /** Takes a candidate's name away. Returns whether the name led to one. */
    boolean removeCandidate(String name) {
        return candidates.remove(name) != null;
    }

    Collection<ManagedAdapter> candidates() {
        return candidates.values();
    }

    private ManagedAdapter byAlias(String name) {
        checkOpen();
        ManagedAdapter adapter = null;
        if (name != null && registry.find(name).isPresent()) {
            adapter = adapters.get(resolve(name));
        }
        if (adapter == null) {
            throw new LoraAdapterNotFoundException(
                    "Unknown adapter \"" + name + "\"; registered are " + known());
        }
        return adapter;
    }

    private String resolve(String name) {
        try {
            return registry.resolve(name).name();
        } catch (LoraConfigurationException e) {
            // what was retired
            throw new LoraAdapterNotFoundException(e.getMessage(), e);
        }
    }

    private String known() {
        Set<String> names = names();
        names.addAll(stacks.keySet());
        if (names.size() <= LISTED) {
            return names.toString();
        }
        return names.stream().limit(LISTED).toList() + " and " + (names.size() - LISTED) + " more";
    }

    /** Returns the adapter that has an id, while its name leads to it. */
    Optional<ManagedAdapter> byId(String id) {
        String name = id.substring(0, id.lastIndexOf('#'));
        return Optional.ofNullable(adapters.get(name)).filter(adapter -> adapter.id().equals(id));
    }

    Set<String> names() {
        return new TreeSet<>(adapters.keySet());
    }

    Set<String> stackNames() {
        return new TreeSet<>(stacks.keySet());
    }

    Collection<ManagedAdapter> adapters() {
        return adapters.values();
    }

    /** Takes every name away, and lets no more come. */
    synchronized Collection<ManagedAdapter> close() {
        closed = true;
        stacks.clear();
        Set<ManagedAdapter> all = new HashSet<>(adapters.values());
        all.addAll(candidates.values());
        adapters.clear();
        candidates.clear();
        return all;
    }

    void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The adapter store is closed");
        }
    }
}
