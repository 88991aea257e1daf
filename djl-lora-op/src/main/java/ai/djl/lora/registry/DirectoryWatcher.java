/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.io.IOException;
import java.nio.file.ClosedWatchServiceException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches a directory whose folders and archives are adapters, with a thread of its own.
 *
 * <p>The system's events make it look at once; because events are lost on some file systems, and
 * none come for what changes inside a folder, it also looks at fixed intervals. An adapter is
 * handed over when nothing in it has changed for a settling time and it has an {@code
 * adapter_config.json}. Names that begin with a dot are left alone: copying an adapter under such a
 * name and renaming it makes it appear whole.
 */
public final class DirectoryWatcher implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(DirectoryWatcher.class);

    private final Path directory;
    private final long settle;
    private final long interval;
    private final DirectoryScan scan;
    private final CountDownLatch closed = new CountDownLatch(1);
    private final WatchService service;
    private final Thread thread;
    private WatchKey key;
    private volatile Status status = new Status(Map.of(), Map.of(), Map.of());

    private DirectoryWatcher(Builder builder, Path directory) {
        this.directory = directory;
        settle = builder.settleTime.toNanos();
        interval = builder.scanInterval.toNanos();
        Quarantine failures =
                Quarantine.builder()
                        .optInitialBackoff(builder.retryAfter)
                        .optMaxBackoff(builder.retryAfter.multipliedBy(64))
                        .optTryTimeout(Duration.ofDays(1)) // tries end before the next look
                        .optCapacity(1_000_000)
                        .build();
        scan =
                new DirectoryScan(
                        directory,
                        Objects.requireNonNull(builder.arrivals, "arrivals"),
                        settle,
                        builder.archives,
                        failures,
                        System::nanoTime);
        builder.known.forEach(scan::addKnown);
        service = watchService();
        thread = new Thread(this::run, "djl-lora-watcher");
        thread.setDaemon(true);
    }

    /**
     * Which adapters lie in the directory.
     *
     * @param taken the fingerprints of the adapters that were taken
     * @param waiting what is not handed over, or not handed over again, and why
     * @param refused what was handed over and not taken, and why; what was taken before is still
     *     among those taken
     */
    public record Status(
            Map<Path, String> taken, Map<Path, String> waiting, Map<Path, String> refused) {

        /**
         * Constructs a new {@code Status} instance.
         *
         * @param taken the fingerprints of the adapters that were taken
         * @param waiting what is not handed over, or not handed over again, and why
         * @param refused what was handed over and not taken, and why; what was taken before is
         *     still among those taken
         */
        public Status {
            taken = Map.copyOf(taken);
            waiting = Map.copyOf(waiting);
            refused = Map.copyOf(refused);
        }
    }

    /**
     * Returns a builder.
     *
     * @return a builder with the defaults set
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns which adapters lay in the directory at the last look.
     *
     * @return the adapters
     */
    public Status status() {
        return status;
    }

    private WatchService watchService() {
        try {
            return directory.getFileSystem().newWatchService();
        } catch (IOException | UnsupportedOperationException e) {
            logger.warn(
                    "{}: the system gives no events, changes are found by looking alone: {}",
                    Message.oneLine(directory.toString()),
                    Message.oneLine(e.toString()));
            return null;
        }
    }

    private void run() {
        long nextFull = System.nanoTime();
        try {
            while (closed.getCount() > 0) {
                watchAgain();
                long now = System.nanoTime();
                boolean full = now - nextFull >= 0;
                if (full) {
                    nextFull = now + interval;
                }
                boolean pending = scan.scan(full);
                status = scan.status();
                long wait = nextFull - System.nanoTime();
                await(pending ? Math.min(wait, settle / 2) : wait);
            }
        } catch (ClosedWatchServiceException | InterruptedException e) {
            logger.debug("The watcher ends", e);
        }
    }

    /** Asks for events, anew if the directory was replaced by another one. */
    private void watchAgain() {
        if (service == null || key != null && key.isValid()) {
            return;
        }
        try {
            key =
                    directory.register(
                            service,
                            StandardWatchEventKinds.ENTRY_CREATE,
                            StandardWatchEventKinds.ENTRY_MODIFY,
                            StandardWatchEventKinds.ENTRY_DELETE);
        } catch (IOException e) {
            logger.debug("{}: no events", directory, e); // the look that follows says what is wrong
        }
    }

    private void await(long nanos) throws InterruptedException {
        if (service == null) {
            isClosedWithin(nanos);
            return;
        }
        WatchKey signalled = service.poll(Math.max(0, nanos), TimeUnit.NANOSECONDS);
        // events come in bursts while something is copied, and each look sees all of them
        if (signalled != null && !isClosedWithin(settle / 4)) {
            signalled.pollEvents();
            signalled.reset();
        }
    }

    private boolean isClosedWithin(long nanos) throws InterruptedException {
        return closed.await(Math.max(0, nanos), TimeUnit.NANOSECONDS);
    }

    /**
     * Stops watching. Waits for an adapter that is being handed over, unless called from there.
     * Closing twice does nothing.
     */
    @Override
    public void close() {
        closed.countDown();
        try {
            if (service != null) {
                service.close();
            }
            if (!Thread.currentThread().equals(thread)) {
                thread.join();
            }
        } catch (IOException e) {
            logger.debug("{}: cannot be closed", directory, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The builder of a {@link DirectoryWatcher}. */
    public static final class Builder {

        private Path directory;
        private AdapterArrivals arrivals;
        private Duration settleTime = Duration.ofSeconds(2);
        private Duration scanInterval = Duration.ofSeconds(10);
        private Duration retryAfter = Duration.ofMinutes(1);
        private Set<String> archives = Set.of(".zip", ".tar.gz", ".tgz");
        private Map<Path, String> known = Map.of();

        private Builder() {}

        /**
         * Sets the directory to watch.
         *
         * @param directory an existing directory
         * @return this builder
         */
        public Builder setDirectory(Path directory) {
            this.directory = directory;
            return this;
        }

        /**
         * Sets who is told of the adapters.
         *
         * @param arrivals takes or refuses them
         * @return this builder
         */
        public Builder setArrivals(AdapterArrivals arrivals) {
            this.arrivals = arrivals;
            return this;
        }

        /**
         * Sets for how long nothing must have changed; 2 seconds by default.
         *
         * @param settleTime the time, 10 ms to one hour
         * @return this builder
         */
        public Builder optSettleTime(Duration settleTime) {
            this.settleTime = check("settleTime", settleTime, Duration.ofHours(1));
            return this;
        }

        /**
         * Sets how often everything is looked at; every 10 seconds by default. A look at 10,000
         * adapters takes tenths of a second.
         *
         * @param scanInterval the interval, 10 ms to one day
         * @return this builder
         */
        public Builder optScanInterval(Duration scanInterval) {
            this.scanInterval = check("scanInterval", scanInterval, Duration.ofDays(1));
            return this;
        }

        /**
         * Sets when an adapter that was refused is tried again, although it has not changed: after
         * a minute by default, then after twice as long, up to 64 times as long.
         *
         * @param retryAfter the time, 10 ms to one day
         * @return this builder
         */
        public Builder optRetryAfter(Duration retryAfter) {
            this.retryAfter = check("retryAfter", retryAfter, Duration.ofDays(1));
            return this;
        }

        /**
         * Sets which files are archives; {@code .zip}, {@code .tar.gz} and {@code .tgz} by default.
         *
         * @param suffixes how the names of archives end; none to take folders alone
         * @return this builder
         */
        public Builder optArchives(Set<String> suffixes) {
            this.archives = Set.copyOf(suffixes);
            return this;
        }

        /**
         * Sets what was taken from the directory before a restart. Of these, what has not changed
         * is not handed over again, and what is no longer there is reported as gone.
         *
         * @param fingerprints the fingerprint that came with each adapter when it was taken
         * @return this builder
         */
        public Builder optKnown(Map<Path, String> fingerprints) {
            this.known = Map.copyOf(fingerprints);
            return this;
        }

        /**
         * Begins to watch.
         *
         * @return the watcher, to be closed by the caller
         * @throws LoraConfigurationException if the directory is none
         * @throws IllegalArgumentException if an adapter that is known lies elsewhere
         */
        public DirectoryWatcher start() {
            Path absolute = directory.toAbsolutePath().normalize();
            if (!Files.isDirectory(absolute)) {
                throw new LoraConfigurationException(
                        Message.oneLine(absolute.toString())
                                + ": the directory to watch does not exist or is none");
            }
            Map<Path, String> adapters = new HashMap<>();
            known.forEach(
                    (path, fingerprint) -> {
                        Path adapter = path.toAbsolutePath().normalize();
                        if (!absolute.equals(adapter.getParent())) {
                            throw new IllegalArgumentException(
                                    adapter + " does not lie in " + absolute);
                        }
                        adapters.put(adapter, fingerprint);
                    });
            known = adapters;
            DirectoryWatcher watcher = new DirectoryWatcher(this, absolute);
            watcher.thread.start();
            return watcher;
        }

        private static Duration check(String name, Duration time, Duration max) {
            if (time.compareTo(Duration.ofMillis(10)) < 0 || time.compareTo(max) > 0) {
                throw new LoraConfigurationException(
                        name + " is " + time + "; allowed are PT0.01S to " + max);
            }
            return time;
        }
    }
}
