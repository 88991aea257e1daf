/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The memory of the host, as far as this process may use it.
 *
 * <p>Under Linux that is the memory of the control groups that have a limit, less what the kernel
 * can drop: among the process' own group and those around it, the one that is nearest to its limit
 * counts. Without any limit it is the machine's. Limits are read each time, since they can be
 * changed while the process runs.
 */
public final class HostMemory implements MemorySource {

    private final Path root;
    private final List<Cgroup> groups;

    private HostMemory(Path root, List<Cgroup> groups) {
        this.root = root;
        this.groups = groups;
    }

    /**
     * Finds this process' control groups.
     *
     * @return the host's memory
     * @throws IOException if they cannot be read
     */
    public static HostMemory open() throws IOException {
        return open(ProcFiles.systemRoot());
    }

    /**
     * Finds the control groups under another root.
     *
     * @param root the directory in which {@code proc} and {@code sys} lie
     * @return the memory that they tell of
     * @throws IOException if they cannot be read
     */
    static HostMemory open(Path root) throws IOException {
        return new HostMemory(root, Cgroup.find(root));
    }

    /** {@inheritDoc} */
    @Override
    public MemoryReading read() throws IOException {
        MemoryReading machine = machine();
        MemoryReading nearest = null;
        for (Cgroup group : groups) {
            MemoryReading reading = group.read(machine.limit());
            boolean limited = reading.limit() < machine.limit();
            if (limited && (nearest == null || reading.ratio() > nearest.ratio())) {
                nearest = reading;
            }
        }
        return nearest == null ? machine : nearest;
    }

    private MemoryReading machine() throws IOException {
        Path meminfo = root.resolve("proc/meminfo");
        if (!Files.isReadable(meminfo)) {
            OperatingSystemMXBean system =
                    ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
            long total = system.getTotalMemorySize();
            return new MemoryReading(
                    total - system.getFreeMemorySize(), 0, total, "the operating system");
        }
        long total = ProcFiles.field(meminfo, "MemTotal") * ProcFiles.KIB;
        long free = ProcFiles.field(meminfo, "MemFree") * ProcFiles.KIB;
        long available = ProcFiles.field(meminfo, "MemAvailable") * ProcFiles.KIB;
        return new MemoryReading(
                total - available, Math.max(0, available - free), total, meminfo.toString());
    }
}
