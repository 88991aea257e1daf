/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The memory controller of a Linux control group: the files of one directory, as the kernel's
 * documents {@code admin-guide/cgroup-v2.rst} and {@code admin-guide/cgroup-v1/memory.rst} have
 * them.
 */
final class Cgroup {

    private static final String UNLIMITED = "max";

    private final Path directory;
    private final boolean unified;

    private Cgroup(Path directory, boolean unified) {
        this.directory = directory;
        this.unified = unified;
    }

    /**
     * Returns the groups that limit this process: its own and those around it, as far as they can
     * be seen from here.
     *
     * @param root the file system's root
     * @return the groups from the innermost on; none where there are no groups, or they do not
     *     account for memory
     * @throws IOException if a file of {@code /proc} is there and cannot be read
     */
    static List<Cgroup> find(Path root) throws IOException {
        Path own = root.resolve("proc/self/cgroup");
        Path mounts = root.resolve("proc/self/mountinfo");
        if (!Files.isReadable(own) || !Files.isReadable(mounts)) {
            return List.of();
        }
        List<String> memberships = Files.readAllLines(own);
        List<Mount> mounted =
                Files.readAllLines(mounts).stream()
                        .map(Mount::parse)
                        .flatMap(Optional::stream)
                        .toList();
        // where both versions are mounted, memory is accounted for by the one that names it
        Optional<String> path = path(memberships, "memory");
        boolean unified = path.isEmpty();
        if (unified) {
            path = path(memberships, "");
        }
        Optional<Mount> mount =
                mounted.stream().filter(each -> each.accountsForMemory(unified)).findFirst();
        if (path.isEmpty() || mount.isEmpty()) {
            return List.of();
        }
        Path top = root.resolve(mount.get().point().substring(1));
        List<Cgroup> groups = new ArrayList<>();
        for (Path at = mount.get().resolve(top, path.get());
                at != null && at.startsWith(top);
                at = at.getParent()) {
            Cgroup group = new Cgroup(at, unified);
            if (Files.isReadable(group.usageFile())) {
                groups.add(group);
            }
        }
        return groups;
    }

    /* A line is "number:controllers:path", without controllers for version 2. */
    private static Optional<String> path(List<String> memberships, String controller) {
        return memberships.stream()
                .map(line -> line.split(":", 3))
                .filter(fields -> fields.length == 3)
                .filter(fields -> Arrays.asList(fields[1].split(",")).contains(controller))
                .map(fields -> fields[2])
                .findFirst();
    }

    /**
     * Reads the group's use.
     *
     * @param most the limit of whoever has none: the machine's memory in bytes
     * @return the use; the limit is {@code most} where the group's is not lower
     * @throws IOException if a file cannot be read or does not hold what it should
     */
    MemoryReading read(long most) throws IOException {
        long usage = ProcFiles.number(usageFile());
        Map<String, Long> stat = ProcFiles.fields(directory.resolve("memory.stat"));
        long reclaimable = Math.min(usage, unified ? reclaimable(stat) : reclaimableV1(stat));
        return new MemoryReading(
                usage - reclaimable, reclaimable, Math.min(most, limit()), directory.toString());
    }

    private Path usageFile() {
        return directory.resolve(unified ? "memory.current" : "memory.usage_in_bytes");
    }

    /* The kernel drops the pages of files as it needs room, mapped ones too: they can be read again.
     * What was written to them must be on the disk first. Memory files (tmpfs) are not among them. */
    private static long reclaimable(Map<String, Long> stat) {
        long files = stat.getOrDefault("inactive_file", 0L) + stat.getOrDefault("active_file", 0L);
        long dirty = stat.getOrDefault("file_dirty", 0L) + stat.getOrDefault("file_writeback", 0L);
        return Math.max(0, files - dirty) + stat.getOrDefault("slab_reclaimable", 0L);
    }

    /* The same with the groups within; kernel memory is not part of this version's usage. */
    private static long reclaimableV1(Map<String, Long> stat) {
        long files =
                stat.getOrDefault("total_inactive_file", 0L)
                        + stat.getOrDefault("total_active_file", 0L);
        long dirty =
                stat.getOrDefault("total_dirty", 0L) + stat.getOrDefault("total_writeback", 0L);
        return Math.max(0, files - dirty);
    }

    private long limit() throws IOException {
        if (!unified) {
            // no limit is a number near 2^63
            return ProcFiles.number(directory.resolve("memory.limit_in_bytes"));
        }
        // above "high" processes are slowed down until they are below it again
        return Math.min(limit("memory.max"), limit("memory.high"));
    }

    private long limit(String file) throws IOException {
        Path path = directory.resolve(file);
        // the outermost group has no such file
        if (!Files.exists(path) || UNLIMITED.equals(ProcFiles.text(path))) {
            return Long.MAX_VALUE;
        }
        return ProcFiles.number(path);
    }

    /** A line of {@code /proc/self/mountinfo}; see {@code proc_pid_mountinfo(5)}. */
    private record Mount(String root, String point, String type, String options) {

        static Optional<Mount> parse(String line) {
            int separator = line.indexOf(" - ");
            String[] before = line.split(" ");
            if (separator < 0 || before.length < 6) {
                return Optional.empty();
            }
            String[] after = line.substring(separator + 3).split(" ");
            String options = after.length > 2 ? after[2] : "";
            return Optional.of(
                    new Mount(unescape(before[3]), unescape(before[4]), after[0], options));
        }

        /* Blanks are octal there. */
        private static String unescape(String path) {
            return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        }

        boolean accountsForMemory(boolean unified) {
            return unified
                    ? "cgroup2".equals(type)
                    : "cgroup".equals(type) && Arrays.asList(options.split(",")).contains("memory");
        }

        /* In a container the mount may show no more than the process' own group. */
        Path resolve(Path top, String path) {
            if (path.equals(root)) {
                return top;
            }
            String prefix = root.endsWith("/") ? root : root + "/";
            if (!path.startsWith(prefix) || path.contains("..")) {
                return top;
            }
            Path own = top.resolve(path.substring(prefix.length()));
            return Files.isDirectory(own) ? own : top;
        }
    }
}
