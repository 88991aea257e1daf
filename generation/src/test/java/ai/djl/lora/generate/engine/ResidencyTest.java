/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.Model;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.EvictionCause;
import ai.djl.lora.cache.Substitution;
import ai.djl.lora.cache.TierStatistics;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Batches of the demo's adapters over a device that has room for a few of them. */
public class ResidencyTest {

    private static final Path DEMO = Path.of("../examples/demo");
    private static final List<String> NAMES =
            List.of("mask", "piglatin", "reverse", "rot13", "sort", "upper", "vowels");

    private Path work;

    @BeforeMethod
    public void makeFolder() throws IOException {
        if (!Files.isDirectory(DEMO)) {
            throw new SkipException("The demo model is not in this checkout");
        }
        work = Files.createTempDirectory("residency");
        for (String name : NAMES) {
            Path folder = Files.createDirectory(work.resolve(name));
            try (Stream<Path> files = Files.list(DEMO.resolve(name))) {
                for (Path file : files.toList()) {
                    Files.copy(file, folder.resolve(file.getFileName().toString()));
                }
            }
        }
    }

    @AfterMethod(alwaysRun = true)
    public void deleteFolder() throws IOException {
        if (work != null) {
            delete(work);
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private Model load(String yaml) throws IOException {
        Path file = Files.writeString(work.resolve("residency.yaml"), yaml);
        Model model = Model.newInstance("demo", "PyTorch");
        model.setBlock(
                new LlamaBlockFactory()
                        .newBlock(
                                model,
                                DEMO.resolve("base"),
                                Map.of("dtype", "float32", "residency", file.toString())));
        return model;
    }

    private static CausalLanguageModel block(Model model) {
        return (CausalLanguageModel) model.getBlock();
    }

    private AdapterStore registered(Model model) {
        AdapterStore store = block(model).getAdapters();
        NAMES.forEach(name -> store.register(name, work.resolve(name)));
        return store;
    }

    private static List<GenerationRequest> requests() {
        List<GenerationRequest> requests = new ArrayList<>();
        for (int i = 0; i < 3 * NAMES.size(); ++i) {
            int[] prompt = {10 + i % 5, 20 + i % 7, 12};
            requests.add(
                    new GenerationRequest(
                            prompt, NAMES.get(i % NAMES.size()), SamplingParameters.greedy(6)));
        }
        requests.add(new GenerationRequest(new int[] {11}, "", SamplingParameters.greedy(6)));
        return requests;
    }

    private static List<String> texts(List<GenerationResult> results) {
        return results.stream().map(result -> Arrays.toString(result.tokens())).toList();
    }

    @Test
    public void moreAdaptersThanRoomAnswerTheSame() throws IOException {
        List<String> expected;
        try (Model model = load("preset: development")) {
            registered(model);
            expected = texts(new BatchRunner(block(model)).generate(requests()));
        }
        try (Model model =
                load("preset: development\ndevice: {adapters: 2}\nhost: {adapters: 3}")) {
            AdapterStore store = registered(model);
            List<GenerationResult> results = new BatchRunner(block(model)).generate(requests());
            Assert.assertEquals(texts(results), expected);
            for (GenerationResult result : results) {
                Assert.assertEquals(result.substitution(), Optional.empty());
                String revision =
                        result.adapter().isEmpty()
                                ? "base"
                                : store.state(result.adapter()).revision();
                Assert.assertEquals(result.revision(), revision);
            }
            TierStatistics device = store.statistics().device();
            Assert.assertTrue(device.adapters() <= 2);
            Assert.assertTrue(device.evictions().get(EvictionCause.ROOM) >= NAMES.size() - 4);
        }
    }

    @Test
    public void thoseThatWaitForRoomDoNotKeepOthersFromWhatIsThere() throws IOException {
        EngineOptions options =
                EngineOptions.builder().optAdapterLookahead(1).optSpeculation(false).build();
        try (Model model = load("preset: development\ndevice: {adapters: 1}")) {
            registered(model);
            try (GenerationEngine engine = new GenerationEngine(block(model), options)) {
                GenerationHandle first = engine.submit(endless("mask", 110));
                first.iterator().next();
                List<GenerationHandle> parked =
                        List.of(
                                engine.submit(endless("upper", 2)),
                                engine.submit(endless("sort", 2)));
                GenerationHandle resident = engine.submit(endless("mask", 2));
                Assert.assertEquals(resident.join().tokens().length, 2);
                Assert.assertFalse(parked.get(0).result().isDone());
                Assert.assertFalse(parked.get(1).result().isDone());
                Assert.assertEquals(first.join().tokens().length, 110);
                for (GenerationHandle handle : parked) {
                    Assert.assertEquals(handle.join().tokens().length, 2);
                }
            }
        }
    }

    private static GenerationRequest endless(String adapter, int newTokens) {
        SamplingParameters sampling =
                SamplingParameters.greedy(newTokens).toBuilder().ignoreEos(true).build();
        return new GenerationRequest(new int[] {10, 20, 12}, adapter, sampling);
    }

    @Test
    public void adapterThatIsGoneFailsUnlessAPolicyAllowsTheBase() throws IOException {
        try (Model model =
                load("preset: development\ndevice: {adapters: 1}\nhost: {enabled: false}")) {
            AdapterStore store = registered(model);
            int[] prompt = {10, 20, 12};
            SamplingParameters greedy = SamplingParameters.greedy(6);
            BatchRunner generator = new BatchRunner(block(model));
            store.acquire("mask").close();
            delete(work.resolve("upper"));
            Assert.assertThrows(
                    LoraException.class,
                    () ->
                            generator.generate(
                                    List.of(new GenerationRequest(prompt, "upper", greedy))));
            EngineOptions options = EngineOptions.builder().build();
            try (GenerationEngine engine = new GenerationEngine(block(model), options)) {
                GenerationHandle lost = engine.submit(endless("upper", 5));
                GenerationHandle there = engine.submit(endless("mask", 5));
                Assert.assertEquals(there.join().tokens().length, 5);
                Assert.assertThrows(LoraException.class, lost::join);
            }
            UnavailablePolicy policy =
                    new UnavailablePolicy(2, Duration.ofMillis(1), false, false).orBase();
            List<GenerationResult> results =
                    generator.generate(
                            List.of(
                                    new GenerationRequest(prompt, "upper", greedy, policy),
                                    new GenerationRequest(prompt, "mask", greedy, policy),
                                    new GenerationRequest(prompt, "", greedy)));
            Substitution substitution = results.get(0).substitution().orElseThrow();
            Assert.assertEquals(substitution.by(), Substitution.By.BASE);
            Assert.assertTrue(substitution.reason().contains("upper"), substitution.reason());
            Assert.assertEquals(results.get(0).revision(), "base");
            Assert.assertEquals(results.get(0).tokens(), results.get(2).tokens());
            Assert.assertEquals(results.get(1).substitution(), Optional.empty());
            Assert.assertEquals(results.get(1).revision(), store.state("mask").revision());
        }
    }

    /** A registry and a directory that is watched outlive the model. */
    @Test
    public void restartedModelHasItsAdapters() throws Exception {
        Path watched = Files.createDirectory(work.resolve("watched"));
        String yaml =
                "preset: development\nregistry: {directory: registry}\nwarmStart: true\n"
                        + "watch: {directory: watched, settleTime: 20ms, scanInterval: 50ms}\n"
                        + "adapters:\n- {name: named, source: upper, pinned: true}";
        try (Model model = load(yaml)) {
            AdapterStore store = block(model).getAdapters();
            Assert.assertTrue(store.state("named").pinned());
            Files.move(work.resolve("rot13"), watched.resolve("rot13"));
            await(() -> store.names().contains("rot13"));
            store.acquire("rot13").close();
        }
        try (Model model = load(yaml)) {
            AdapterStore store = block(model).getAdapters();
            Assert.assertEquals(store.names(), Set.of("named", "rot13"));
            List<GenerationResult> results =
                    new BatchRunner(block(model))
                            .generate(
                                    List.of(
                                            new GenerationRequest(
                                                    new int[] {10, 12},
                                                    "rot13",
                                                    SamplingParameters.greedy(3))));
            Assert.assertEquals(results.get(0).revision(), store.state("rot13").revision());
            Files.move(watched.resolve("rot13"), work.resolve("elsewhere"));
            await(() -> !store.names().contains("rot13"));
        }
    }

    /** What is wrong in a watched directory, or was replaced from elsewhere, changes nothing. */
    @Test
    public void watchedDirectoryRulesItsOwnAdaptersAlone() throws Exception {
        Path watched = Files.createDirectory(work.resolve("watched"));
        String yaml =
                "preset: development\n"
                        + "watch: {directory: watched, settleTime: 20ms, scanInterval: 50ms}\n"
                        + "adapters:\n- {name: named, source: upper}";
        try (Model model = load(yaml)) {
            AdapterStore store = block(model).getAdapters();
            String upper = store.state("named").revision();
            Files.move(work.resolve("mask"), watched.resolve("named"));
            Path broken = Files.createDirectory(watched.resolve("broken"));
            Files.writeString(broken.resolve("adapter_config.json"), "{}");
            Files.move(work.resolve("sort"), watched.resolve("sort"));
            await(() -> store.names().contains("sort"));
            store.replace("sort", work.resolve("vowels"));
            String vowels = store.state("sort").revision();
            delete(watched.resolve("sort"));
            delete(watched.resolve("named"));
            Files.move(work.resolve("reverse"), watched.resolve("reverse"));
            // the directory is looked at in one go: what was gone has been told by then
            await(() -> store.names().contains("reverse"));
            Assert.assertEquals(store.names(), Set.of("named", "sort", "reverse"));
            Assert.assertEquals(store.state("named").revision(), upper);
            Assert.assertEquals(store.state("sort").revision(), vowels);
        }
    }

    /** What a file says of an adapter holds also where the registry has it from before. */
    @Test
    public void fileThatWasChangedHoldsAfterARestart() throws Exception {
        String yaml =
                "preset: development\nregistry: {directory: registry}\n"
                        + "adapters:\n- {name: named, source: %s, pinned: %s}";
        String upper;
        try (Model model = load(String.format(yaml, "upper", "true"))) {
            upper = block(model).getAdapters().state("named").revision();
        }
        String rot13;
        try (Model model = load(String.format(yaml, "rot13", "true"))) {
            AdapterStore store = block(model).getAdapters();
            rot13 = store.state("named").revision();
            Assert.assertNotEquals(rot13, upper);
            Assert.assertTrue(store.state("named").pinned());
        }
        // known from there already: pinned or not is all that changes, and no file is read
        delete(work.resolve("rot13"));
        try (Model model = load(String.format(yaml, "rot13", "false"))) {
            AdapterStore store = block(model).getAdapters();
            Assert.assertEquals(store.state("named").revision(), rot13);
            Assert.assertFalse(store.state("named").pinned());
        }
        try (Model model = load("preset: development\nregistry: {directory: registry}")) {
            AdapterStore store = block(model).getAdapters();
            Assert.assertEquals(store.names(), Set.of("named"));
            Assert.assertFalse(store.state("named").pinned());
            store.rollback("named");
            Assert.assertEquals(store.state("named").revision(), upper);
        }
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofMinutes(1).toNanos();
        while (!condition.getAsBoolean()) {
            Assert.assertTrue(System.nanoTime() < end, "not within a minute");
            Thread.sleep(10);
        }
    }
}
