/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Reads the kernel's files as they are in containers, on machines, and where there are none. */
public class HostMemoryTest {

    private static final long MIB = 1 << 20;

    private static final String MEMINFO =
            "MemTotal:        1024000 kB\nMemFree:          204800 kB\n"
                    + "MemAvailable:     512000 kB\nHugePages_Total:       0\n";

    private static final String STAT_V2 =
            "anon 104857600\nfile 73400320\nkernel_stack 65536\nfile_mapped 31457280\n"
                    + "file_dirty 1048576\nfile_writeback 2097152\ninactive_anon 0\n"
                    + "active_anon 104857600\ninactive_file 41943040\nactive_file 20971520\n"
                    + "slab_reclaimable 4194304\nslab 8388608\n";

    private TempDirectory root;

    @BeforeMethod
    public void begin() throws IOException {
        root = new TempDirectory();
        file("proc/meminfo", MEMINFO);
    }

    @AfterMethod
    public void end() throws IOException {
        root.close();
    }

    private void file(String name, String text) throws IOException {
        Files.createDirectories(root.path().resolve(name).getParent());
        root.write(name, text);
    }

    private MemoryReading read() throws IOException {
        return HostMemory.open(root.path()).read();
    }

    private void mountV2(String mountRoot) throws IOException {
        file(
                "proc/self/mountinfo",
                "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\nbroken line\n31 22 0:26 "
                        + mountRoot
                        + " /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate\n");
    }

    private void groupV2(String directory, String max, long usage) throws IOException {
        String at = "sys/fs/cgroup" + directory + "/memory.";
        file(at + "max", max + "\n");
        file(at + "high", "max\n");
        file(at + "current", usage + "\n");
        file(at + "stat", STAT_V2);
    }

    @Test
    public void versionTwoCountsLessWhatTheKernelCanDrop() throws IOException {
        file("proc/self/cgroup", "0::/\n");
        mountV2("/");
        groupV2("", "" + 400 * MIB, 200 * MIB);
        MemoryReading reading = read();
        // 40 + 20 MiB of files, 3 of them not on the disk yet, and 4 of the kernel's caches
        assertEquals(reading.reclaimable(), 61 * MIB);
        assertEquals(reading.used(), 139 * MIB);
        assertEquals(reading.limit(), 400 * MIB);
        assertEquals(reading.ratio(), 139.0 / 400);
        assertEquals(reading.source(), root.path().resolve("sys/fs/cgroup").toString());
    }

    @Test
    public void aLimitIsReadAnewEachTime() throws IOException {
        file("proc/self/cgroup", "0::/\n");
        mountV2("/");
        groupV2("", "" + 400 * MIB, 200 * MIB);
        HostMemory memory = HostMemory.open(root.path());
        assertEquals(memory.read().limit(), 400 * MIB);
        groupV2("", "" + 300 * MIB, 250 * MIB);
        assertEquals(memory.read().limit(), 300 * MIB);
        assertEquals(memory.read().used(), 189 * MIB);
        file("sys/fs/cgroup/memory.high", "" + 250 * MIB);
        assertEquals(memory.read().limit(), 250 * MIB);
    }

    @Test
    public void theGroupNearestToItsLimitCounts() throws IOException {
        file("proc/self/cgroup", "0::/pod/app\n");
        mountV2("/");
        // the outermost group has no limit, and no file for one
        file("sys/fs/cgroup/memory.stat", STAT_V2);
        groupV2("/pod", "" + 500 * MIB, 461 * MIB);
        groupV2("/pod/app", "" + 400 * MIB, 261 * MIB);
        assertEquals(read().used(), 400 * MIB);
        assertEquals(read().limit(), 500 * MIB);
        groupV2("/pod/app", "" + 210 * MIB, 261 * MIB);
        assertEquals(read().limit(), 210 * MIB);
        groupV2("/pod/app", "max", 261 * MIB);
        assertEquals(read().limit(), 500 * MIB);
    }

    @Test
    public void aContainerThatSeesItsOwnGroupAlone() throws IOException {
        file("proc/self/cgroup", "0::/docker/0123\n");
        mountV2("/docker/0123");
        groupV2("", "" + 400 * MIB, 200 * MIB);
        assertEquals(read().limit(), 400 * MIB);
        // another container's path, of a group that is not mounted here
        file("proc/self/cgroup", "0::/../other\n");
        assertEquals(read().limit(), 400 * MIB);
    }

    @Test
    public void versionOneCountsTheGroupsWithin() throws IOException {
        file(
                "proc/self/cgroup",
                "12:cpu,cpuacct:/\n4:memory:/docker/0123\n1:name=systemd:/docker/0123\n0::/\n");
        file(
                "proc/self/mountinfo",
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                        + "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                        + "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                        + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        String top = "sys/fs/cgroup/memory/memory.";
        file(top + "usage_in_bytes", "" + 900 * MIB);
        file(top + "limit_in_bytes", "9223372036854771712\n");
        file(top + "stat", "total_inactive_file 0\n");
        String own = "sys/fs/cgroup/memory/docker/0123/memory.";
        file(own + "usage_in_bytes", 200 * MIB + "\n");
        file(own + "limit_in_bytes", 300 * MIB + "\n");
        file(
                own + "stat",
                "inactive_file 1\nactive_file 1\ntotal_inactive_file 41943040\n"
                        + "total_active_file 20971520\ntotal_dirty 1048576\ntotal_writeback 0\n");
        MemoryReading reading = read();
        assertEquals(reading.reclaimable(), 59 * MIB);
        assertEquals(reading.used(), 141 * MIB);
        assertEquals(reading.limit(), 300 * MIB);
    }

    @Test
    public void withoutALimitTheMachineCounts() throws IOException {
        MemoryReading machine = new MemoryReading(500 * MIB, 300 * MIB, 1000 * MIB, "meminfo");
        assertMachine(machine);
        file("proc/self/cgroup", "0::/\n");
        assertMachine(machine);
        mountV2("/");
        assertMachine(machine);
        groupV2("", "max", 200 * MIB);
        assertMachine(machine);
        groupV2("", "" + 1000 * MIB, 200 * MIB);
        assertMachine(machine);
        groupV2("", "" + 999 * MIB, 200 * MIB);
        assertEquals(read().limit(), 999 * MIB);
    }

    private void assertMachine(MemoryReading expected) throws IOException {
        MemoryReading reading = read();
        assertEquals(reading.used(), expected.used());
        assertEquals(reading.reclaimable(), expected.reclaimable());
        assertEquals(reading.limit(), expected.limit());
        assertTrue(reading.source().endsWith(expected.source()), reading.source());
    }

    @Test
    public void withoutProcTheOperatingSystemIsAsked() throws IOException {
        Files.delete(root.path().resolve("proc/meminfo"));
        MemoryReading reading = read();
        assertEquals(reading.source(), "the operating system");
        assertTrue(reading.used() > 0 && reading.used() < reading.limit(), reading.toString());
        assertTrue(ProcFiles.residentSet(root.path()).isEmpty());
    }

    @Test
    public void aFileThatHoldsSomethingElseIsNamed() throws IOException {
        file("proc/self/cgroup", "0::/\n");
        mountV2("/");
        groupV2("", "much", 200 * MIB);
        String message = expectThrows(IOException.class, this::read).getMessage();
        assertTrue(message.endsWith("memory.max holds \"much\", which is no number"), message);
        file("proc/meminfo", "MemTotal: 5 kB\nMemFree: 1 kB\n");
        message = expectThrows(IOException.class, this::read).getMessage();
        assertTrue(message.endsWith("meminfo has no MemAvailable"), message);
    }

    @Test
    public void thisMachineCanBeRead() throws IOException {
        MemoryReading reading = HostMemory.open().read();
        assertTrue(reading.used() > 0 && reading.used() <= reading.limit(), reading.toString());
    }

    @Test
    public void memoryThatIsWrittenToIsResident() throws IOException {
        Path system = ProcFiles.systemRoot();
        if (ProcFiles.residentSet(system).isEmpty()) {
            throw new SkipException("There is no /proc here");
        }
        int bytes = (int) (256 * MIB);
        long before = ProcFiles.residentSet(system).orElseThrow();
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(bytes))) {
            Block<ByteBuffer> block = pool.tryAllocate(bytes).orElseThrow();
            long untouched = ProcFiles.residentSet(system).orElseThrow();
            // the JVM may give back or take some memory of its own meanwhile
            assertTrue(untouched - before < bytes / 2, untouched + " after " + before);
            block.access(
                    view -> {
                        for (int i = 0; i < bytes; i += 4096) {
                            view.put(i, (byte) 1);
                        }
                        return null;
                    });
            long touched = ProcFiles.residentSet(system).orElseThrow();
            assertTrue(touched - untouched > bytes / 2, touched + " after " + untouched);
        }
        long after = ProcFiles.residentSet(system).orElseThrow();
        assertTrue(after - before < bytes / 2, after + " after " + before);
    }
}
