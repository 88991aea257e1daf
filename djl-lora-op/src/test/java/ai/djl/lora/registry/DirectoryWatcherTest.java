/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Real files in a watched directory: looked at by hand with a clock of the test's, and for real.
 */
public class DirectoryWatcherTest {

    private static final Path DEMO = Path.of("../examples/demo");
    private static final long SECOND = 1_000_000_000;

    private final AtomicLong nanos = new AtomicLong();

    /** Notes what it is told, and refuses what it is told to refuse. */
    private static final class Recorder implements AdapterArrivals {

        private final List<String> calls = Collections.synchronizedList(new ArrayList<>());
        private final Map<Path, String> fingerprints = new TreeMap<>();
        private volatile RuntimeException refusal;

        @Override
        public void arrived(Path adapter, String fingerprint) {
            calls.add("arrived " + adapter.getFileName());
            if (refusal != null) {
                throw refusal;
            }
            fingerprints.put(adapter, fingerprint);
        }

        @Override
        public void gone(Path adapter) {
            calls.add("gone " + adapter.getFileName());
            if (refusal != null) {
                throw refusal;
            }
        }

        List<String> take() {
            List<String> taken = List.copyOf(calls);
            calls.clear();
            return taken;
        }
    }

    private DirectoryScan scan(Path root, AdapterArrivals arrivals) {
        Quarantine failures =
                Quarantine.builder()
                        .optInitialBackoff(Duration.ofSeconds(60))
                        .optMaxBackoff(Duration.ofSeconds(600))
                        .optJitter(0)
                        .optTicker(nanos::get)
                        .build();
        return new DirectoryScan(root, arrivals, 2 * SECOND, Set.of(".zip"), failures, nanos::get);
    }

    private boolean scan(DirectoryScan scan, double seconds) {
        nanos.addAndGet((long) (seconds * SECOND));
        return scan.scan(true);
    }

    @Test
    public void adapterIsHandedOverWhenItHasSettled() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            Assert.assertFalse(scan(scan, 1));
            Path upper = copy("upper", temp.path().resolve("upper"));
            Assert.assertTrue(scan(scan, 1), "about to settle");
            Assert.assertTrue(scan(scan, 1.9));
            Assert.assertEquals(recorder.take(), List.of());
            Assert.assertEquals(scan.status().waiting(), Map.of(upper, "it is still changing"));
            Assert.assertFalse(scan(scan, 0.1));
            Assert.assertEquals(recorder.take(), List.of("arrived upper"));
            Assert.assertEquals(scan.status().taken(), recorder.fingerprints);
            Assert.assertEquals(scan.status().waiting(), Map.of());
            for (int i = 0; i < 5; ++i) {
                Assert.assertFalse(scan(scan, 5));
            }
            Assert.assertEquals(recorder.take(), List.of(), "it is handed over once");
        }
    }

    @Test
    public void whatIsBeingCopiedIsLeftUntilItIsWhole() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            Path folder = Files.createDirectory(temp.path().resolve("upper"));
            Path weights = folder.resolve("adapter_model.safetensors");
            byte[] bytes = Files.readAllBytes(DEMO.resolve("upper/adapter_model.safetensors"));
            for (int i = 0; i < 20; ++i) {
                byte[] part = new byte[bytes.length / 20];
                System.arraycopy(bytes, i * part.length, part, 0, part.length);
                Files.write(weights, part, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
                Assert.assertTrue(scan(scan, 1.5));
            }
            for (int i = 0; i < 5; ++i) {
                scan(scan, 5);
            }
            Assert.assertEquals(recorder.take(), List.of());
            Assert.assertEquals(
                    scan.status().waiting(), Map.of(folder, "there is no adapter_config.json"));
            Files.copy(
                    DEMO.resolve("upper/adapter_config.json"),
                    folder.resolve("adapter_config.json"));
            Assert.assertTrue(scan(scan, 5));
            Assert.assertFalse(scan(scan, 2));
            Assert.assertEquals(recorder.take(), List.of("arrived upper"));
        }
    }

    @Test
    public void folderThatComesUnderAHiddenNameAppearsAtOnce() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            copy("upper", temp.path().resolve(".upper.tmp"));
            temp.write("README.md", "not an adapter");
            scan(scan, 5);
            scan(scan, 5);
            Assert.assertEquals(scan.status().waiting(), Map.of());
            Files.move(temp.path().resolve(".upper.tmp"), temp.path().resolve("upper"));
            scan(scan, 5);
            scan(scan, 5);
            Assert.assertEquals(recorder.take(), List.of("arrived upper"));
        }
    }

    @Test
    public void changedAdapterIsHandedOverAgain() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            Path folder = copy("upper", temp.path().resolve("a"));
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("arrived a"));
            // in place of the old one in two renames, as deployments do: a change and no loss
            Path other = copy("rot13", temp.path().resolve(".new"));
            Files.move(folder, temp.path().resolve(".old"));
            Assert.assertTrue(scan(scan, 5));
            Files.move(other, folder);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("arrived a"));
            Files.copy(
                    DEMO.resolve("upper/adapter_model.safetensors"),
                    folder.resolve("adapter_model.safetensors"),
                    StandardCopyOption.REPLACE_EXISTING);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("arrived a"));
        }
    }

    @Test
    public void goneIsWhatStaysAway() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            copy("upper", temp.path().resolve("a"));
            copy("upper", temp.path().resolve("b"));
            Path archive = temp.write("c.zip", "as far as this knows");
            settle(scan);
            Assert.assertEquals(
                    recorder.take(), List.of("arrived a", "arrived b", "arrived c.zip"));
            delete(temp.path().resolve("a"));
            Files.delete(temp.path().resolve("b/adapter_config.json"));
            Files.delete(archive);
            Assert.assertTrue(scan(scan, 1));
            Assert.assertEquals(recorder.take(), List.of());
            Assert.assertFalse(scan(scan, 2));
            Assert.assertEquals(
                    recorder.take().stream().sorted().toList(),
                    List.of("gone a", "gone b", "gone c.zip"));
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of());
            Assert.assertEquals(scan.status().taken(), Map.of());
        }
    }

    @Test
    public void directoryThatCannotBeListedLosesNoAdapter() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            Path root = Files.createDirectory(temp.path().resolve("root"));
            DirectoryScan scan = scan(root, recorder);
            copy("upper", root.resolve("a"));
            settle(scan);
            recorder.take();
            Files.move(root, temp.path().resolve("elsewhere"));
            settle(scan);
            settle(scan);
            Files.move(temp.path().resolve("elsewhere"), root);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of());
            Assert.assertEquals(scan.status().taken().size(), 1);
        }
    }

    @Test
    public void refusedAdapterIsTriedAgainWhenItChangesOrAfterABackOff() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            Path folder = copy("upper", temp.path().resolve("a"));
            recorder.refusal = new LoraConfigurationException("does not fit");
            settle(scan);
            Assert.assertEquals(scan.status().refused(), Map.of(folder, "refused: does not fit"));
            for (int i = 0; i < 10; ++i) {
                scan(scan, 5);
            }
            Assert.assertEquals(recorder.take(), List.of("arrived a"), "not in a loop");
            scan(scan, 20);
            Assert.assertEquals(recorder.take(), List.of("arrived a"), "after a minute");
            Files.copy(
                    DEMO.resolve("rot13/adapter_model.safetensors"),
                    folder.resolve("adapter_model.safetensors"),
                    StandardCopyOption.REPLACE_EXISTING);
            recorder.refusal = null;
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("arrived a"), "at once when it changed");
            Assert.assertEquals(scan.status().refused(), Map.of());
            recorder.refusal = new IllegalStateException("not now");
            delete(folder);
            settle(scan);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("gone a"));
            Assert.assertEquals(
                    scan.status().refused(),
                    Map.of(folder, "is gone, but cannot be given up: not now"));
            recorder.refusal = null;
            scan(scan, 61);
            Assert.assertEquals(recorder.take(), List.of("gone a"));
            Assert.assertEquals(scan.status().refused(), Map.of());
        }
    }

    @Test
    public void restartHandsOverWhatHasChangedAlone() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            copy("upper", temp.path().resolve("same"));
            copy("upper", temp.path().resolve("changed"));
            copy("upper", temp.path().resolve("gone"));
            settle(scan);
            recorder.take();
            delete(temp.path().resolve("gone"));
            delete(temp.path().resolve("changed"));
            copy("rot13", temp.path().resolve("changed"));
            copy("rot13", temp.path().resolve("new"));
            DirectoryScan next = scan(temp.path(), recorder);
            Map.copyOf(recorder.fingerprints).forEach(next::addKnown);
            settle(next);
            Assert.assertEquals(
                    recorder.take(), List.of("arrived changed", "arrived new", "gone gone"));
        }
    }

    @Test
    public void brokenLinkIsNoAdapterUntilItLeadsSomewhere() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryScan scan = scan(temp.path(), recorder);
            Path folder = copy("upper", temp.path().resolve("a"));
            Path weights = folder.resolve("adapter_model.safetensors");
            Path blob = temp.path().resolve(".blob");
            Files.delete(weights);
            Files.createSymbolicLink(weights, blob);
            settle(scan);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of());
            String why = scan.status().waiting().get(folder);
            Assert.assertTrue(why.startsWith("it cannot be listed: "), why);
            Files.copy(DEMO.resolve("upper/adapter_model.safetensors"), blob);
            settle(scan);
            Assert.assertEquals(recorder.take(), List.of("arrived a"));
        }
    }

    @Test
    public void watcherSeesFilesComeAndGo() throws IOException, InterruptedException {
        try (TempDirectory temp = new TempDirectory()) {
            Recorder recorder = new Recorder();
            DirectoryWatcher.Builder builder =
                    DirectoryWatcher.builder()
                            .setDirectory(temp.path())
                            .setArrivals(recorder)
                            .optSettleTime(Duration.ofMillis(50));
            // with an interval that never comes, it is events that wake it
            try (DirectoryWatcher watcher = builder.optScanInterval(Duration.ofHours(1)).start()) {
                copy("upper", temp.path().resolve("upper"));
                await(() -> recorder.calls.contains("arrived upper"));
                delete(temp.path().resolve("upper"));
                await(() -> recorder.calls.contains("gone upper"));
                await(() -> watcher.status().taken().isEmpty());
            }
            recorder.take();
            copy("upper", temp.path().resolve("a"));
            try (DirectoryWatcher watcher =
                    builder.optScanInterval(Duration.ofMillis(100)).start()) {
                await(() -> recorder.calls.contains("arrived a"));
                // a change inside a folder gives no event of the directory
                Files.writeString(temp.path().resolve("a/README.md"), "changed");
                await(() -> Collections.frequency(recorder.calls, "arrived a") == 2);
                await(() -> watcher.status().waiting().isEmpty());
            }
            delete(temp.path().resolve("a"));
            Thread.sleep(300);
            Assert.assertEquals(recorder.take(), List.of("arrived a", "arrived a"), "it is closed");
        }
    }

    @Test
    public void watcherIsClosedFromWithin() throws IOException, InterruptedException {
        try (TempDirectory temp = new TempDirectory()) {
            copy("upper", temp.path().resolve("a"));
            List<DirectoryWatcher> watchers = Collections.synchronizedList(new ArrayList<>());
            Thread[] thread = new Thread[1];
            AdapterArrivals arrivals =
                    new AdapterArrivals() {
                        @Override
                        public void arrived(Path adapter, String fingerprint) {
                            thread[0] = Thread.currentThread();
                            watchers.get(0).close();
                        }

                        @Override
                        public void gone(Path adapter) {
                            throw new AssertionError("nothing is gone");
                        }
                    };
            watchers.add(
                    DirectoryWatcher.builder()
                            .setDirectory(temp.path())
                            .setArrivals(arrivals)
                            .optSettleTime(Duration.ofMillis(100))
                            .start());
            await(() -> thread[0] != null && !thread[0].isAlive());
        }
    }

    @Test
    public void directoryIsChecked() throws IOException {
        try (TempDirectory temp = new TempDirectory()) {
            Path missing = temp.path().resolve("missing");
            AdapterRegistryTest.assertRefused(
                    () ->
                            DirectoryWatcher.builder()
                                    .setDirectory(missing)
                                    .setArrivals(new Recorder())
                                    .start(),
                    missing + ": the directory to watch does not exist or is none");
            AdapterRegistryTest.assertRefused(
                    () -> DirectoryWatcher.builder().optSettleTime(Duration.ZERO),
                    "settleTime is PT0S; allowed are PT0.01S to PT1H");
        }
    }

    private void settle(DirectoryScan scan) {
        for (int i = 0; i < 3; ++i) {
            scan(scan, 3);
        }
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + 60 * SECOND;
        while (!condition.getAsBoolean()) {
            Assert.assertTrue(System.nanoTime() < end, "not within a minute");
            Thread.sleep(5);
        }
    }

    private static Path copy(String demo, Path folder) throws IOException {
        Files.createDirectory(folder);
        for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
            Files.copy(DEMO.resolve(demo).resolve(file), folder.resolve(file));
        }
        return folder;
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
