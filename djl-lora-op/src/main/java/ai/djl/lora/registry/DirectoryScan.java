/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a watched directory held when it was looked at, and what follows from a look. Used by one
 * thread.
 *
 * <p>A folder or archive is handed over once two looks at least the settling time apart, and all
 * between, have seen the same. One that is missing must be missing for as long, so that replacing a
 * folder by renaming is a change and no loss. While the directory itself cannot be listed, nothing
 * counts as missing.
 */
final class DirectoryScan {

    private static final Logger logger = LoggerFactory.getLogger(DirectoryScan.class);

    private final Path root;
    private final AdapterArrivals arrivals;
    private final long settle;
    private final Set<String> archives;
    private final Quarantine failures;
    private final LongSupplier ticker;
    private final Map<Path, Child> children = new TreeMap<>();
    private String rootProblem;

    DirectoryScan(
            Path root,
            AdapterArrivals arrivals,
            long settle,
            Set<String> archives,
            Quarantine failures,
            LongSupplier ticker) {
        this.root = root;
        this.arrivals = arrivals;
        this.settle = settle;
        this.archives = archives;
        this.failures = failures;
        this.ticker = ticker;
    }

    /** What is known of one folder or archive. */
    private static final class Child {

        /** The fingerprint that was handed over and taken. */
        private String taken;

        /** The fingerprint that was seen last, and since when. */
        private String seen;

        private long since;
        private boolean present = true;
        private long missingSince;

        /** Why it is not taken, and whether that is more than a matter of time. */
        private String problem = "not looked at yet";

        private boolean failed;
        private String reported;

        boolean isTaken() {
            return taken != null && taken.equals(seen);
        }

        void settle() {
            problem = null;
            failed = false;
            reported = null;
        }

        void hold(String why) {
            problem = why;
            failed = false;
        }
    }

    /** Notes what was taken before a restart. */
    void addKnown(Path path, String fingerprint) {
        Child child = new Child();
        child.taken = fingerprint;
        children.put(path, child);
    }

    /**
     * Looks at the directory once.
     *
     * @param everything whether to look also at what was taken already, which may have changed
     * @return whether something is about to settle, and another look is due after the settling time
     */
    boolean scan(boolean everything) {
        List<Path> found;
        try {
            found = list();
            rootProblem = null;
        } catch (IOException e) {
            String problem = Message.oneLine(e.toString());
            if (!problem.equals(rootProblem)) {
                logger.warn(
                        "{}: the watched directory cannot be listed; what was taken from it stays:"
                                + " {}",
                        name(root),
                        problem);
                rootProblem = problem;
            }
            return false;
        }
        boolean pending = false;
        for (Path path : found) {
            Child child = children.computeIfAbsent(path, key -> new Child());
            boolean returned = !child.present;
            child.present = true;
            if (everything || returned || !child.isTaken()) {
                pending |= look(path, child);
            }
        }
        Set<Path> missing = new TreeSet<>(children.keySet());
        found.forEach(missing::remove);
        for (Path path : missing) {
            pending |= miss(path, children.get(path));
        }
        return pending;
    }

    private List<Path> list() throws IOException {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(root, this::isCandidate)) {
            stream.forEach(found::add);
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        found.sort(null);
        return found;
    }

    private boolean isCandidate(Path path) {
        String file = path.getFileName().toString();
        if (file.startsWith(".")) {
            return false;
        }
        return Files.isDirectory(path)
                || archives.stream().anyMatch(file::endsWith) && Files.isRegularFile(path);
    }

    private boolean look(Path path, Child child) {
        Sighting sighting;
        try {
            sighting = Sighting.of(path);
        } catch (IOException | UncheckedIOException e) {
            return lookInVain(path, child, e);
        }
        long now = ticker.getAsLong();
        if (!sighting.fingerprint().equals(child.seen)) {
            child.seen = sighting.fingerprint();
            child.since = now;
            failures.succeeded(path.toString()); // it was another content that failed
        }
        if (child.seen.equals(child.taken)) {
            child.settle();
            return false;
        }
        if (now - child.since < settle) {
            child.hold("it is still changing");
            return true;
        }
        if (sighting.lacking().isEmpty()) {
            handOver(path, child);
        } else if (child.taken == null || handOverLoss(path, child)) {
            child.hold(sighting.lacking().get());
            report(path, child, "left alone: " + child.problem);
        }
        return false;
    }

    /** Notes that a folder cannot be listed, which is no reason to give up what was taken. */
    private boolean lookInVain(Path path, Child child, Exception failure) {
        String problem = "it cannot be listed: " + Message.oneLine(failure.toString());
        boolean again = problem.equals(child.problem);
        child.seen = null; // the settling begins anew
        child.hold(problem);
        if (again) {
            report(path, child, problem);
        }
        return !again; // files come and go while something is copied
    }

    private void handOver(Path path, Child child) {
        String key = path.toString();
        if (failures.enter(key).isPresent()) {
            return;
        }
        try {
            arrivals.arrived(path, child.seen);
            failures.succeeded(key);
            child.taken = child.seen;
            child.settle();
            logger.info("{}: taken", name(path));
        } catch (RuntimeException e) {
            fail(path, child, "refused: ", e);
        }
    }

    private boolean miss(Path path, Child child) {
        long now = ticker.getAsLong();
        if (child.present) {
            child.present = false;
            child.missingSince = now;
        }
        if (now - child.missingSince < settle) {
            return true;
        }
        if (child.taken == null || handOverLoss(path, child)) {
            children.remove(path);
            failures.succeeded(path.toString());
        }
        return false;
    }

    private boolean handOverLoss(Path path, Child child) {
        String key = path.toString();
        if (failures.enter(key).isPresent()) {
            return false;
        }
        try {
            arrivals.gone(path);
            failures.succeeded(key);
            child.taken = null;
            logger.info("{}: gone", name(path));
            return true;
        } catch (RuntimeException e) {
            fail(path, child, "is gone, but cannot be given up: ", e);
            return false;
        }
    }

    private void fail(Path path, Child child, String what, RuntimeException failure) {
        failures.failed(path.toString(), failure);
        child.problem = what + Message.oneLine(String.valueOf(failure.getMessage()));
        child.failed = true;
        if (failure instanceof LoraException) {
            report(path, child, child.problem);
        } else if (!child.problem.equals(child.reported)) {
            child.reported = child.problem;
            logger.warn("{}: {}", name(path), child.problem, failure); // a defect: say where
        }
    }

    private static void report(Path path, Child child, String text) {
        if (!text.equals(child.reported)) {
            child.reported = text;
            logger.warn("{}: {}", name(path), text);
        }
    }

    DirectoryWatcher.Status status() {
        Map<Path, String> taken = new TreeMap<>();
        Map<Path, String> waiting = new TreeMap<>();
        Map<Path, String> refused = new TreeMap<>();
        children.forEach(
                (path, child) -> {
                    if (child.taken != null) {
                        taken.put(path, child.taken);
                    }
                    if (child.problem != null) {
                        (child.failed ? refused : waiting).put(path, child.problem);
                    }
                });
        return new DirectoryWatcher.Status(taken, waiting, refused);
    }

    private static String name(Path path) {
        return Message.oneLine(path.toString());
    }
}
