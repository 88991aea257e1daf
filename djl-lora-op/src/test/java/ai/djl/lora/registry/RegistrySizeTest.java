/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.Test;

/** What 10,000 registered adapters cost. */
public class RegistrySizeTest {

    private static final int ADAPTERS = 10_000;

    @Test
    public void tenThousandAdaptersAreSmallAndFoundFast() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            long used = usedHeap();
            long start = System.nanoTime();
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                SplittableRandom random = new SplittableRandom(1);
                for (int batch = 0; batch < 100; ++batch) {
                    List<Registration> registrations = new ArrayList<>();
                    for (int i = 0; i < ADAPTERS / 100; ++i) {
                        registrations.add(registration(batch * 100 + i, random));
                    }
                    registry.putAll(registrations);
                }
                for (int i = 0; i < 1_000; ++i) {
                    registry.alias("alias-" + i, name(i));
                }
                double registering = seconds(start);
                for (int i = 0; i < ADAPTERS; ++i) {
                    registry.statistics().of(name(i)).orElseThrow().hit();
                }
                start = System.nanoTime();
                registry.saveStatistics();
                double saving = seconds(start);
                double megabytes = (usedHeap() - used) * 1e-6;
                double lookup = medianLookupNanos(registry);
                System.out.printf(
                        "%d adapters: %.1f MB of heap, %.1f MB on disk; registered in batches of"
                                + " 100, and 1,000 aliases, in %.2f s; statistics written in %.3f"
                                + " s; a lookup takes %.0f ns%n",
                        ADAPTERS,
                        megabytes,
                        Files.size(temp.path().resolve("registry.log")) * 1e-6,
                        registering,
                        saving,
                        lookup);
                Assert.assertTrue(megabytes < 20, megabytes + " MB");
                // some 50 ns; wide enough for a machine that is busy with something else
                Assert.assertTrue(lookup < 1_000, lookup + " ns");
            }
            start = System.nanoTime();
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                System.out.printf("opened again in %.2f s%n", seconds(start));
                Assert.assertEquals(registry.size(), ADAPTERS);
                Assert.assertEquals(registry.hottest(ADAPTERS).size(), ADAPTERS);
            }
        }
    }

    private static String name(int i) {
        return "tenant-" + i % 100 + "/support-bot-" + i;
    }

    /** An adapter as they are: checksums of 56 parts, some metadata, a tenant. */
    private static Registration registration(int i, SplittableRandom random) {
        byte[] checksums = new byte[224];
        random.nextBytes(checksums);
        return Registries.registration(name(i), i)
                .optTenant("tenant-" + i % 100)
                .optMetadata(Map.of("fingerprint", Registries.hash(i), "base", "llama-3-8b"))
                .optValidated(checksums)
                .build();
    }

    private static double medianLookupNanos(AdapterRegistry registry) {
        SplittableRandom random = new SplittableRandom(2);
        String[] names = new String[4_096];
        for (int i = 0; i < names.length; ++i) {
            names[i] = name(random.nextInt(ADAPTERS));
        }
        double[] nanos = new double[200];
        long found = 0;
        for (int round = 0; round < nanos.length; ++round) {
            long start = System.nanoTime();
            for (String name : names) {
                found += registry.resolve(name).current().bytes() > 0 ? 1 : 0;
            }
            nanos[round] = (double) (System.nanoTime() - start) / names.length;
        }
        Assert.assertEquals(found, (long) names.length * nanos.length);
        Arrays.sort(nanos);
        return nanos[nanos.length / 2];
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) * 1e-9;
    }

    private static long usedHeap() {
        for (int i = 0; i < 4; ++i) {
            System.gc();
        }
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
