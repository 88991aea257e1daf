/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;
import org.testng.Assert;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** What the packaged library asks of the system, and what it shows of itself. */
public class LibrarySymbolsIT {

    /**
     * The newest versions that may be asked for. glibc 2.29 and GCC 9's libstdc++ are what DJL's
     * libtorch itself needs, so wherever that runs this library does.
     */
    private static final Map<String, String> NEWEST =
            Map.of("GLIBC", "2.29", "GLIBCXX", "3.4.26", "CXXABI", "1.3.11", "GCC", "3.0");

    private static final int STRING_TABLE = 3;
    private static final int DYNAMIC = 6;
    private static final int DYNAMIC_SYMBOLS = 11;
    private static final int NEEDED_VERSIONS = 0x6ffffffe;

    private ByteBuffer elf;

    /** A section's place, and the section that it links to. */
    private record Section(int type, int offset, int size, int link) {}

    @BeforeClass
    public void read() throws IOException {
        NativeTestBase.requireLibrary();
        try (JarFile jar = new JarFile(System.getProperty("packaged.jar"));
                InputStream in =
                        jar.getInputStream(
                                jar.getJarEntry("native/lib/linux-x86_64/libdjl_lora.so"))) {
            elf = ByteBuffer.wrap(in.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
        }
        Assert.assertEquals(elf.getInt(0), 0x464c457f, "ELF's first bytes");
        Assert.assertEquals(elf.get(4), 2, "64 bits");
    }

    @Test
    public void runsOnOldSystems() {
        Map<String, TreeSet<String>> found = new TreeMap<>();
        Section needed = section(NEEDED_VERSIONS);
        int strings = sections().get(needed.link()).offset();
        int entry = needed.offset();
        int next;
        do {
            int version = entry + elf.getInt(entry + 8);
            int nextVersion;
            do {
                String name = string(strings + elf.getInt(version + 8));
                int dash = name.indexOf('_');
                found.computeIfAbsent(name.substring(0, dash), k -> new TreeSet<>(byNumbers()))
                        .add(name.substring(dash + 1));
                nextVersion = elf.getInt(version + 12);
                version += nextVersion;
            } while (nextVersion != 0);
            next = elf.getInt(entry + 12);
            entry += next;
        } while (next != 0);
        Assert.assertTrue(found.containsKey("GLIBC"), found.toString());
        found.forEach(
                (family, versions) -> {
                    String newest = NEWEST.get(family);
                    Assert.assertNotNull(newest, "unexpected symbols of " + family);
                    Assert.assertTrue(
                            byNumbers().compare(versions.last(), newest) <= 0,
                            family + '_' + versions.last() + " is above " + family + '_' + newest);
                });
    }

    @Test
    public void needsLibtorchAndNothingElseOfItsOwn() {
        List<String> libraries = new ArrayList<>();
        Section dynamic = section(DYNAMIC);
        int strings = sections().get(dynamic.link()).offset();
        for (int at = dynamic.offset(); at < dynamic.offset() + dynamic.size(); at += 16) {
            if (elf.getLong(at) == 1) {
                libraries.add(string(strings + (int) elf.getLong(at + 8)));
            }
            Assert.assertNotEquals(elf.getLong(at), 15L, "DT_RPATH");
            Assert.assertNotEquals(elf.getLong(at), 29L, "DT_RUNPATH");
        }
        Assert.assertTrue(libraries.contains("libtorch_cpu.so"), libraries.toString());
        // nor any part of CUDA: the driver is looked for at run time
        Assert.assertTrue(
                libraries.stream().noneMatch(name -> name.matches(".*(omp|cuda|cudart|nvrtc).*")),
                libraries.toString());
    }

    @Test
    public void showsOnlyWhatJavaCalls() {
        Section symbols = section(DYNAMIC_SYMBOLS);
        int strings = sections().get(symbols.link()).offset();
        int shown = 0;
        for (int at = symbols.offset(); at < symbols.offset() + symbols.size(); at += 24) {
            String name = string(strings + elf.getInt(at));
            if (elf.getShort(at + 6) != 0 && !name.isEmpty()) { // defined here
                Assert.assertTrue(name.matches("JNI_OnLoad|Java_ai_djl_lora_jni_.*"), name);
                ++shown;
            }
        }
        Assert.assertTrue(shown > 20, shown + " symbols");
    }

    private List<Section> sections() {
        int table = (int) elf.getLong(40);
        int size = elf.getShort(58);
        List<Section> sections = new ArrayList<>();
        for (int i = 0; i < elf.getShort(60); ++i) {
            int at = table + i * size;
            sections.add(
                    new Section(
                            elf.getInt(at + 4),
                            (int) elf.getLong(at + 24),
                            (int) elf.getLong(at + 32),
                            elf.getInt(at + 40)));
        }
        return sections;
    }

    private Section section(int type) {
        Section found =
                sections().stream()
                        .filter(section -> section.type() == type)
                        .findFirst()
                        .orElseThrow(() -> new AssertionError("no section of type " + type));
        if (type != STRING_TABLE) {
            Assert.assertEquals(sections().get(found.link()).type(), STRING_TABLE);
        }
        return found;
    }

    private String string(int at) {
        int end = at;
        while (elf.get(end) != 0) {
            ++end;
        }
        return new String(elf.array(), at, end - at, StandardCharsets.US_ASCII);
    }

    /** Compares 2.9 and 2.10 by their numbers. */
    private static Comparator<String> byNumbers() {
        return (a, b) -> {
            String[] left = a.split("\\.");
            String[] right = b.split("\\.");
            for (int i = 0; i < Math.max(left.length, right.length); ++i) {
                int l = i < left.length ? Integer.parseInt(left[i]) : 0;
                int r = i < right.length ? Integer.parseInt(right[i]) : 0;
                if (l != r) {
                    return Integer.compare(l, r);
                }
            }
            return 0;
        };
    }
}
