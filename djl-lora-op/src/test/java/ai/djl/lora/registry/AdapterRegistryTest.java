/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import static ai.djl.lora.registry.Registries.hash;
import static ai.djl.lora.registry.Registries.registration;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What the registry's methods do and what they refuse. */
public class AdapterRegistryTest {

    @Test
    public void newRevisionIsCurrentAndTheOneBeforeStays() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(
                registration("a", 1).optTenant("t").optPriority(2).optPinned(true).build());
        RegisteredAdapter before = registry.get("a");
        registry.reregister(registration("a", 2).optMetadata(Map.of("k", "v")).build());
        RegisteredAdapter adapter = registry.get("a");
        Assert.assertEquals(adapter.current().hash(), hash(2));
        Assert.assertEquals(adapter.current().metadata(), Map.of("k", "v"));
        Assert.assertEquals(adapter.previous().orElseThrow().hash(), hash(1));
        Assert.assertEquals(adapter.revision(hash(1)), Optional.of(before.current()));
        Assert.assertEquals(adapter.tenant(), Optional.of("t"));
        Assert.assertEquals(adapter.priority(), 2.0);
        Assert.assertTrue(adapter.pinned());
        Assert.assertEquals(before.current().hash(), hash(1), "a snapshot never changes");
    }

    @Test
    public void whatARollbackLeftIsNeverThePrevious() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).build());
        registry.reregister(registration("a", 2).build());
        registry.rollback("a");
        Assert.assertEquals(registry.get("a").current().hash(), hash(1));
        Assert.assertEquals(registry.get("a").previous(), Optional.empty());
        registry.rollback("a", hash(2));
        Assert.assertEquals(registry.get("a").current().hash(), hash(2));
        registry.rollback("a");
        registry.reregister(registration("a", 3).build());
        Assert.assertEquals(registry.get("a").current().hash(), hash(3));
        Assert.assertEquals(registry.get("a").previous().orElseThrow().hash(), hash(1));
        Assert.assertTrue(registry.get("a").revision(hash(2)).isPresent());
        LoraConfigurationException unknown =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> registry.rollback("a", hash(9)));
        Assert.assertTrue(unknown.getMessage().contains(hash(9)), unknown.getMessage());
        Assert.assertTrue(unknown.getMessage().contains(hash(2)), unknown.getMessage());
    }

    @Test
    public void oldestRevisionsAreDropped() {
        AdapterRegistry registry =
                AdapterRegistry.inMemory(Registries.options().optMaxRevisions(3).build());
        registry.register(registration("a", 1).build());
        for (int i = 2; i <= 5; ++i) {
            registry.reregister(registration("a", i).build());
        }
        Assert.assertEquals(
                registry.get("a").revisions().stream().map(AdapterRevision::hash).toList(),
                List.of(hash(3), hash(4), hash(5)));
        registry.reregister(registration("a", 3).build());
        Assert.assertEquals(
                registry.get("a").revisions().stream().map(AdapterRevision::hash).toList(),
                List.of(hash(4), hash(5), hash(3)),
                "content that comes again is not on record twice");
    }

    @Test
    public void sameAgainIsNoChange() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).optMetadata(Map.of("k", "v")).build());
        registry.pin("a");
        registry.alias("b", "a");
        long sequence = registry.sequence();
        registry.reregister(registration("a", 1).optMetadata(Map.of("k", "v")).build());
        registry.putAll(List.of(registration("a", 1).optMetadata(Map.of("k", "v")).build()));
        registry.pin("a");
        registry.setPriority("a", 0);
        registry.setMetadata("a", Map.of("k", "v"));
        registry.alias("b", "a");
        Assert.assertEquals(registry.sequence(), sequence);
        registry.setMetadata("a", Map.of());
        Assert.assertEquals(registry.sequence(), sequence + 1);
    }

    @Test
    public void canaryIsKeptBesideTheRevisionsUntilItIsOneOfThem() throws IOException {
        try (TempDirectory directory = new TempDirectory()) {
            try (AdapterRegistry registry = Registries.open(directory.path())) {
                registry.register(registration("a", 1).optTenant("t").build());
                registry.setCanary(registration("a", 2).optPinned(true).build(), 0.5);
                registry.setCanary(registration("a", 2).optPinned(true).build(), 0.25);
                registry.setValidated("a", hash(2), new byte[] {7});
            }
            try (AdapterRegistry registry = Registries.open(directory.path())) {
                RegisteredAdapter adapter = registry.get("a");
                Assert.assertEquals(adapter.revisions().size(), 1);
                Assert.assertEquals(adapter.current().hash(), hash(1));
                RegisteredCanary canary = adapter.canary().orElseThrow();
                Assert.assertEquals(canary.share(), 0.25);
                Assert.assertEquals(canary.revision().hash(), hash(2));
                Assert.assertEquals(canary.revision().checksums(), new byte[] {7});
                Assert.assertEquals(adapter.revision(hash(2)), Optional.of(canary.revision()));
                LoraConfigurationException refused =
                        Assert.expectThrows(
                                LoraConfigurationException.class,
                                () -> registry.rollback("a", hash(2)));
                Assert.assertTrue(
                        refused.getMessage().contains("is a canary"), refused.getMessage());
                // another revision leaves it, its own makes it one of the adapter's
                registry.reregister(registration("a", 3).build());
                Assert.assertEquals(registry.get("a").canary(), Optional.of(canary));
                registry.reregister(canary.registration("a"));
            }
            try (AdapterRegistry registry = Registries.open(directory.path())) {
                RegisteredAdapter adapter = registry.get("a");
                Assert.assertEquals(adapter.canary(), Optional.empty());
                Assert.assertEquals(adapter.current().hash(), hash(2));
                Assert.assertEquals(adapter.current().checksums(), new byte[] {7});
                Assert.assertTrue(adapter.pinned());
                registry.setCanary(registration("a", 4).build(), 1);
                registry.endCanary("a");
                registry.endCanary("nobody");
                Assert.assertEquals(registry.get("a").canary(), Optional.empty());
            }
        }
    }

    @Test
    public void canaryThatCannotBeOneIsRefused() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).optTenant("t").build());
        registry.alias("b", "a");
        for (double share : new double[] {0, -0.5, 1.01, Double.NaN}) {
            refusesCanary(registry, registration("a", 2).build(), share, "share");
        }
        refusesCanary(registry, registration("a", 2).optTenant("u").build(), 0.5, "tenant");
        refusesCanary(registry, registration("b", 2).build(), 0.5, "alias");
        refusesCanary(registry, registration("c", 2).build(), 0.5, "Unknown adapter");
        Assert.assertEquals(registry.get("a").canary(), Optional.empty());
    }

    private static void refusesCanary(
            AdapterRegistry registry, Registration registration, double share, String reason) {
        LoraConfigurationException refused =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> registry.setCanary(registration, share));
        Assert.assertTrue(refused.getMessage().contains(reason), refused.getMessage());
    }

    @Test
    public void retiredAdapterIsOnRecordAndComesBack() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).build());
        registry.statistics().of("a").orElseThrow().hit();
        registry.retire("a");
        Assert.assertTrue(registry.get("a").retired());
        LoraConfigurationException retired =
                Assert.expectThrows(LoraConfigurationException.class, () -> registry.resolve("a"));
        Assert.assertEquals(
                retired.getMessage(),
                "Adapter \"a\" was retired and answers no requests until it is registered again");
        Assert.assertEquals(registry.hottest(5), List.of());
        registry.reregister(registration("a", 1).build());
        Assert.assertEquals(registry.resolve("a").revisions().size(), 1);
        Assert.assertEquals(registry.statistics().of("a").orElseThrow().hits(), 1);
        Assert.assertEquals(registry.hottest(5), List.of(registry.get("a")));
        registry.unregister("a");
        Assert.assertEquals(registry.statistics().of("a"), Optional.empty());
    }

    @Test
    public void validationIsNotedOfOneRevision() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).build());
        registry.reregister(registration("a", 2).build());
        byte[] checksums = {1, 2, 3};
        registry.setValidated("a", hash(1), checksums);
        checksums[0] = 9;
        AdapterRevision first = registry.get("a").revision(hash(1)).orElseThrow();
        Assert.assertTrue(first.validated());
        Assert.assertEquals(first.checksums(), new byte[] {1, 2, 3});
        first.checksums()[0] = 9;
        Assert.assertEquals(first.checksums(), new byte[] {1, 2, 3});
        Assert.assertFalse(registry.get("a").current().validated());
    }

    @Test
    public void aliasesLeadThroughEachOtherAndNeverInACircle() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("x", 1).build());
        registry.register(registration("y", 2).build());
        registry.alias("prod", "x");
        registry.alias("default", "prod");
        Assert.assertEquals(registry.resolve("default").name(), "x");
        registry.alias("prod", "y");
        Assert.assertEquals(registry.resolve("default").name(), "y");
        assertRefused(
                () -> registry.alias("prod", "default"),
                "Alias \"prod\" of \"default\" would stand for itself");
        assertRefused(
                () -> registry.alias("prod", "prod"),
                "Alias \"prod\" of \"prod\" would stand for itself");
        assertRefused(
                () -> registry.alias("x", "y"),
                "\"x\" is an adapter's name and cannot be an alias of \"y\"");
        assertRefused(
                () -> registry.register(registration("prod", 3).build()),
                "\"prod\" is an alias of \"y\" already");
        assertRefused(
                () -> registry.unregister("y"),
                "\"y\" has the alias \"prod\"; take that away first");
        assertRefused(
                () -> registry.unalias("prod"),
                "\"prod\" has the alias \"default\"; take that away first");
        assertRefused(() -> registry.unalias("x"), "\"x\" is an adapter's name, not an alias");
        assertRefused(
                () -> registry.unregister("default"),
                "\"default\" is an alias of \"prod\"; use the adapter's own name here");
        registry.pin("default");
        Assert.assertTrue(registry.get("y").pinned());
        registry.unalias("default");
        registry.unalias("prod");
        registry.unregister("y");
        Assert.assertEquals(registry.find("prod"), Optional.empty());
        Assert.assertEquals(registry.size(), 1);
    }

    @Test
    public void unknownNamesListTheNearest() {
        AdapterRegistry registry = Registries.inMemory();
        assertRefused(() -> registry.get("a"), "Unknown adapter \"a\"; none is registered");
        registry.register(registration("upper", 1).build());
        registry.alias("big", "upper");
        assertRefused(
                () -> registry.get("uper"),
                "Unknown adapter \"uper\"; registered are [\"big\", \"upper\"]");
        registry.putAll(
                IntStream.range(0, 10_000)
                        .mapToObj(i -> registration("tenant-" + i % 100 + "/bot-" + i, i).build())
                        .toList());
        LoraConfigurationException unknown =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> registry.resolve("tenant-17/bto-4217"));
        Assert.assertTrue(
                unknown.getMessage()
                        .startsWith(
                                "Unknown adapter \"tenant-17/bto-4217\"; the nearest of 10002 names"
                                        + " are [\"tenant-17/bot-4217\", "),
                unknown.getMessage());
    }

    @DataProvider
    public Object[][] wrongNames() {
        return new Object[][] {
            {null, "Adapter name must not be blank"},
            {" \t", "Adapter name must not be blank"},
            {
                "a\nb",
                "Adapter name \"a\\u000ab\" has U+000A at index 1; control characters, line"
                        + " separators and unpaired surrogates are not allowed"
            },
            {
                "ab\u2028",
                "Adapter name \"ab\\u2028\" has U+2028 at index 2; control characters, line"
                        + " separators and unpaired surrogates are not allowed"
            },
            {
                "\ud83d",
                "Adapter name \"\ud83d\" has U+D83D at index 0; control characters, line separators"
                        + " and unpaired surrogates are not allowed"
            },
            {"a ", "Adapter name \"a \" begins or ends with white space, which is not allowed"},
            {
                "x".repeat(257),
                "Adapter name \""
                        + "x".repeat(120)
                        + "... (257 characters)\" has 257 characters, allowed are 256"
            },
        };
    }

    @Test(dataProvider = "wrongNames")
    public void namesAreChecked(String name, String message) {
        assertRefused(
                () -> Registration.builder().setName(name).setSource(Path.of("a")).build(),
                message);
    }

    @Test
    public void whatCannotBeStoredIsRefused() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("\ud83d\ude00 b\u00fccher/1", 1).build());
        assertRefused(
                () -> registry.register(registration("a", 1).setHash("ABC").build()),
                "An adapter's revision is \"ABC\"; expected a SHA-256 in 64 lower-case hexadecimal"
                        + " digits");
        assertRefused(
                () -> registry.register(registration("a", 1).setBytes(-1).build()),
                "An adapter's size is -1 bytes, allowed are 0 and more");
        assertRefused(
                () -> registration("a", 1).optPriority(Double.NaN),
                "An adapter's priority is NaN; it must be finite");
        registry.register(registration("a", 1).optTenant("t").build());
        assertRefused(
                () -> registry.reregister(registration("a", 2).optTenant("u").build()),
                "Adapter \"a\" belongs to tenant \"t\", not to tenant \"u\"");
        assertRefused(
                () -> registry.setMetadata("a", Map.of("k", "v".repeat(8193))),
                "The metadata of \"k\" has 8193 characters, allowed are 8192");
        assertRefused(
                () -> registry.setMetadata("a", Map.of("k", "\udc00")),
                "The metadata of \"k\" has an unpaired surrogate, which cannot be stored");
        assertRefused(
                () -> registry.setPriority("a", Double.POSITIVE_INFINITY),
                "An adapter's priority is Infinity; it must be finite");
        assertRefused(
                () -> Registries.options().optMaxRevisions(0),
                "maxRevisions is 0; allowed are 1 to 64");
        Assert.assertEquals(registry.size(), 2);
        Assert.assertEquals(registry.sequence(), 2);
    }

    @Test
    public void adaptersOfOneCallComeTogetherOrNotAtAll() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("a", 1).optTenant("t").build());
        assertRefused(
                () ->
                        registry.putAll(
                                List.of(
                                        registration("b", 1).build(),
                                        registration("a", 2).optTenant("u").build())),
                "Adapter \"a\" belongs to tenant \"t\", not to tenant \"u\"");
        Assert.assertEquals(registry.find("b"), Optional.empty());
        assertRefused(
                () ->
                        registry.putAll(
                                List.of(
                                        registration("b", 1).build(),
                                        registration("b", 2).build())),
                "Adapter \"b\" is to be registered twice at once");
        registry.putAll(List.of(registration("b", 1).build(), registration("a", 2).build()));
        Assert.assertEquals(registry.sequence(), 2);
        Assert.assertEquals(registry.get("a").revisions().size(), 2);
    }

    @Test
    public void listsAreByTenantAndByPrefix() {
        AdapterRegistry registry = Registries.inMemory();
        registry.register(registration("t/b", 1).optTenant("t").build());
        registry.register(registration("t/a", 1).optTenant("t").build());
        registry.register(registration("u", 1).build());
        Assert.assertEquals(names(registry.list()), List.of("t/a", "t/b", "u"));
        Assert.assertEquals(names(registry.listByTenant("t")), List.of("t/a", "t/b"));
        Assert.assertEquals(names(registry.listByTenant("u")), List.of());
        Assert.assertEquals(names(registry.listByPrefix("t/")), List.of("t/a", "t/b"));
    }

    private static List<String> names(List<RegisteredAdapter> adapters) {
        return adapters.stream().map(RegisteredAdapter::name).toList();
    }

    @Test
    public void listenersSeeEveryChangeInItsOrder() throws InterruptedException {
        AdapterRegistry registry = Registries.inMemory();
        List<RegistryEvent> events = new ArrayList<>();
        AtomicInteger inside = new AtomicInteger();
        registry.addListener(
                event -> {
                    Assert.assertEquals(inside.incrementAndGet(), 1, "one at a time");
                    events.add(event);
                    inside.decrementAndGet();
                    if (event.sequence() == 1) {
                        throw new IllegalStateException("what a listener throws is logged");
                    }
                });
        registry.addListener(
                event -> {
                    // a change from within a listener comes after the one that it is told of
                    if (event.before().isEmpty() && event.name().equals("0-0")) {
                        registry.pin("0-0");
                    }
                });
        Thread[] threads = new Thread[4];
        for (int t = 0; t < threads.length; ++t) {
            int id = t;
            threads[t] =
                    new Thread(
                            () -> {
                                for (int i = 0; i < 200; ++i) {
                                    registry.register(registration(id + "-" + i, i).build());
                                    registry.alias("newest", id + "-" + i);
                                    if (i % 2 == 0) {
                                        registry.setPriority(id + "-" + i, i + 1);
                                    }
                                }
                            });
            threads[t].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Assert.assertEquals(events.size(), 4 * 300 + 1);
        long last = 0;
        for (RegistryEvent event : events) {
            Assert.assertTrue(event.sequence() > last, event.sequence() + " after " + last);
            last = event.sequence();
        }
        RegistryEvent retired = event(registry, () -> registry.retire("1-1"));
        Assert.assertTrue(retired.isContentChanged());
        Assert.assertFalse(event(registry, () -> registry.pin("1-2")).isContentChanged());
        RegistryEvent gone = event(registry, () -> registry.unregister("1-1"));
        Assert.assertEquals(gone.after(), Optional.empty());
        Assert.assertFalse(gone.isContentChanged(), "it was retired before");
    }

    private static RegistryEvent event(AdapterRegistry registry, Runnable change) {
        List<RegistryEvent> events = new ArrayList<>();
        RegistryListener listener = events::add;
        registry.addListener(listener);
        change.run();
        registry.removeListener(listener);
        Assert.assertEquals(events.size(), 1);
        return events.get(0);
    }

    @Test
    public void readersNeverSeeHalfOfAChange() throws InterruptedException {
        AdapterRegistry registry = Registries.inMemory();
        registry.putAll(pair(0));
        registry.register(registration("x", 1).build());
        registry.register(registration("y", 2).build());
        registry.alias("b", "x");
        registry.alias("a", "b");
        AtomicBoolean stop = new AtomicBoolean();
        AtomicInteger reads = new AtomicInteger();
        List<String> wrong = Collections.synchronizedList(new ArrayList<>());
        Thread[] readers = new Thread[2];
        for (int t = 0; t < readers.length; ++t) {
            readers[t] =
                    new Thread(
                            () -> {
                                while (!stop.get()) {
                                    // "b" leads to "y" only while "a" leads to "x" by itself
                                    if (!registry.resolve("a").name().equals("x")) {
                                        wrong.add("a led to y");
                                    }
                                    long kinds =
                                            registry.listByPrefix("pair").stream()
                                                    .map(adapter -> adapter.current().hash())
                                                    .distinct()
                                                    .count();
                                    if (kinds != 1) {
                                        wrong.add("half a pair");
                                    }
                                    reads.incrementAndGet();
                                }
                            });
            readers[t].start();
        }
        for (int i = 1; i < 4_000 || reads.get() < 1_000; ++i) {
            registry.putAll(pair(i));
            registry.alias("a", "x");
            registry.alias("b", "y");
            registry.alias("b", "x");
            registry.alias("a", "b");
        }
        stop.set(true);
        for (Thread reader : readers) {
            reader.join();
        }
        Assert.assertEquals(wrong, List.of());
    }

    private static List<Registration> pair(int content) {
        return List.of(
                registration("pair1", content).build(), registration("pair2", content).build());
    }

    @Test
    public void everythingSurvivesARestart() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path directory = temp.path().resolve("deep/registry");
            Registries.Content content;
            List<AccessRecord> statistics;
            try (AdapterRegistry registry = Registries.open(directory)) {
                registry.register(
                        registration("a\u00e4 \"\\", 1)
                                .optMetadata(Map.of("k", "line\nbreak \u2028 \0"))
                                .optValidated(new byte[] {0, -1, 7})
                                .optPriority(0.1)
                                .optTenant("t")
                                .build());
                registry.reregister(registration("a\u00e4 \"\\", 2).build());
                registry.register(registration("b", 3).optPinned(true).build());
                registry.register(registration("gone", 3).build());
                registry.unregister("gone");
                registry.retire("b");
                registry.alias("c", "b");
                registry.statistics().of("b").orElseThrow().miss();
                registry.statistics().of("a\u00e4 \"\\").orElseThrow().hit();
                content = Registries.content(registry);
                statistics = sorted(registry.statistics().snapshot());
            }
            for (int i = 0; i < 2; ++i) {
                try (AdapterRegistry registry = Registries.open(directory)) {
                    Assert.assertEquals(Registries.content(registry), content);
                    Assert.assertEquals(sorted(registry.statistics().snapshot()), statistics);
                    Assert.assertEquals(registry.hottest(2).size(), 1);
                }
            }
        }
    }

    private static List<AccessRecord> sorted(List<AccessRecord> records) {
        return records.stream().sorted(Comparator.comparing(AccessRecord::name)).toList();
    }

    @Test
    public void closedRegistryTakesNoChanges() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            AdapterRegistry registry = Registries.open(temp.path());
            registry.register(registration("a", 1).build());
            registry.close();
            registry.close();
            Assert.assertThrows(IllegalStateException.class, () -> registry.pin("a"));
            Assert.assertThrows(IllegalStateException.class, registry::saveStatistics);
            Assert.assertEquals(registry.resolve("a").name(), "a");
        }
    }

    static void assertRefused(Assert.ThrowingRunnable call, String message) {
        LoraConfigurationException refusal =
                Assert.expectThrows(LoraConfigurationException.class, call);
        Assert.assertEquals(refusal.getMessage(), message);
    }
}
