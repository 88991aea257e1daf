/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.testng.Assert;

/**
 * The registry's rules in their plainest form, as the oracle: maps, no threads, no disk. Contents
 * are compared as text, so that nothing is shared with what is tested.
 */
final class RegistryModel {

    private final int maxRevisions;
    private final Map<String, Adapter> adapters = new TreeMap<>();
    private final Map<String, String> aliases = new TreeMap<>();
    private long changes;

    RegistryModel(int maxRevisions) {
        this.maxRevisions = maxRevisions;
    }

    private static final class Adapter {

        /** The revisions in the registry's order, and which is current. */
        private final List<Revision> revisions = new ArrayList<>();

        private int current;
        private double priority;
        private boolean pinned;
        private boolean retired;

        int indexOf(long content) {
            return revisions.stream().map(Revision::content).toList().indexOf(content);
        }

        @Override
        public String toString() {
            return revisions + "@" + current + ' ' + priority + ' ' + pinned + ' ' + retired;
        }
    }

    private record Revision(long content, Map<String, String> metadata, boolean validated) {}

    /**
     * Makes a random change in both, or none if it is not allowed.
     *
     * @return what it was, for the message of a failure
     */
    String step(AdapterRegistry registry, SplittableRandom random) {
        String name = "n" + random.nextInt(6);
        String other = "n" + random.nextInt(6);
        long content = random.nextInt(5);
        int kind = random.nextInt(12);
        String what = kind + " " + name + " " + other + " " + content;
        String before = text();
        boolean made;
        try {
            apply(registry, kind, name, other, content);
            made = true;
        } catch (LoraConfigurationException e) {
            made = false;
        }
        Assert.assertEquals(made, applyHere(kind, name, other, content), what);
        if (!text().equals(before)) {
            ++changes;
        }
        return what;
    }

    /** Fails unless a registry holds what this model does. */
    void check(AdapterRegistry registry, String message) {
        Assert.assertEquals(registry.sequence(), changes, message);
        Assert.assertEquals(registry.aliases(), aliases, message);
        Map<String, String> found = new TreeMap<>();
        registry.list().forEach(adapter -> found.put(adapter.name(), text(adapter)));
        Map<String, String> expected = new TreeMap<>();
        adapters.forEach((name, adapter) -> expected.put(name, adapter.toString()));
        Assert.assertEquals(found, expected, message);
        for (int i = 0; i < 6; ++i) {
            Assert.assertEquals(
                    registry.find("n" + i).map(RegisteredAdapter::name), follow("n" + i), message);
        }
    }

    private static String text(RegisteredAdapter found) {
        Adapter adapter = new Adapter();
        for (AdapterRevision revision : found.revisions()) {
            adapter.revisions.add(
                    new Revision(
                            Long.parseLong(revision.hash(), 16),
                            revision.metadata(),
                            revision.validated()));
        }
        adapter.current = found.currentIndex();
        adapter.priority = found.priority();
        adapter.pinned = found.pinned();
        adapter.retired = found.retired();
        return adapter.toString();
    }

    private static void apply(
            AdapterRegistry registry, int kind, String name, String other, long content) {
        Registration registration = Registries.registration(name, content).build();
        switch (kind) {
            case 0, 1 -> registry.register(registration);
            case 2, 3 -> registry.reregister(registration);
            case 4 -> registry.unregister(name);
            case 5 -> registry.retire(name);
            case 6 -> {
                if (content % 2 == 0) {
                    registry.pin(name);
                } else {
                    registry.unpin(name);
                }
            }
            case 7 -> registry.setPriority(name, content);
            case 8 -> registry.setMetadata(name, Map.of("k", "v" + content));
            case 9 -> {
                if (content == 4) {
                    registry.setValidated(name, Registries.hash(1), new byte[] {1});
                } else if (content == 0) {
                    registry.rollback(name);
                } else {
                    registry.rollback(name, Registries.hash(content));
                }
            }
            case 10 -> registry.alias(name, other);
            default -> registry.unalias(name);
        }
    }

    private boolean applyHere(int kind, String name, String other, long content) {
        Adapter own = adapters.get(name);
        Optional<Adapter> found = follow(name).map(adapters::get);
        switch (kind) {
            case 0, 1:
                if (own != null || aliases.containsKey(name)) {
                    return false;
                }
                Adapter fresh = new Adapter();
                fresh.revisions.add(new Revision(content, Map.of(), false));
                adapters.put(name, fresh);
                return true;
            case 2, 3:
                if (own != null) {
                    reregister(own, content);
                }
                return own != null;
            case 4:
                return own != null && !aliases.containsValue(name) && adapters.remove(name) != null;
            case 5:
                if (own != null) {
                    own.retired = true;
                }
                return own != null;
            case 6:
                found.ifPresent(adapter -> adapter.pinned = content % 2 == 0);
                return found.isPresent();
            case 7:
                found.ifPresent(adapter -> adapter.priority = content);
                return found.isPresent();
            case 8:
                found.ifPresent(adapter -> describe(adapter, content));
                return found.isPresent();
            case 9:
                return found.isPresent() && rollBackOrValidate(found.get(), content);
            case 10:
                boolean allowed = own == null && follow(other).isPresent() && !leadsTo(other, name);
                if (allowed) {
                    aliases.put(name, other);
                }
                return allowed;
            default:
                return aliases.containsKey(name)
                        && !aliases.containsValue(name)
                        && aliases.remove(name) != null;
        }
    }

    private void reregister(Adapter adapter, long content) {
        adapter.retired = false;
        Revision revision = new Revision(content, Map.of(), false);
        if (adapter.revisions.get(adapter.current).content == content) {
            adapter.revisions.set(adapter.current, revision);
            return;
        }
        // [earlier.. current left..] becomes [left.. earlier.. current new]
        Collections.rotate(adapter.revisions, adapter.revisions.size() - 1 - adapter.current);
        adapter.revisions.removeIf(old -> old.content == content);
        adapter.revisions.add(revision);
        while (adapter.revisions.size() > maxRevisions) {
            adapter.revisions.remove(0);
        }
        adapter.current = adapter.revisions.size() - 1;
    }

    private static void describe(Adapter adapter, long content) {
        Revision old = adapter.revisions.get(adapter.current);
        adapter.revisions.set(
                adapter.current,
                new Revision(old.content, Map.of("k", "v" + content), old.validated));
    }

    private static boolean rollBackOrValidate(Adapter adapter, long content) {
        if (content == 0) {
            adapter.current = Math.max(-1, adapter.current - 1);
            boolean possible = adapter.current >= 0;
            adapter.current = Math.max(0, adapter.current);
            return possible;
        }
        int index = adapter.indexOf(content == 4 ? 1 : content);
        if (index >= 0 && content == 4) {
            Revision old = adapter.revisions.get(index);
            adapter.revisions.set(index, new Revision(1, old.metadata, true));
        } else if (index >= 0) {
            adapter.current = index;
        }
        return index >= 0;
    }

    private boolean leadsTo(String from, String name) {
        for (String at = from; at != null; at = aliases.get(at)) {
            if (at.equals(name)) {
                return true;
            }
        }
        return false;
    }

    private Optional<String> follow(String name) {
        String at = name;
        while (at != null && !adapters.containsKey(at)) {
            at = aliases.get(at);
        }
        return Optional.ofNullable(at);
    }

    private String text() {
        return adapters.toString() + aliases;
    }
}
