/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.Model;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.model.LlamaBlockFactory;
import com.google.gson.Gson;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.Reporter;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/**
 * What the engine generates for requests that come at random, beside what transformers and PEFT
 * generated for each alone (tools/fixtures/make_generation_goldens.py), in float32.
 */
public class EngineGoldensTest {

    private static final Path GOLDENS = Path.of("../src/test/resources/goldens");
    private static final Path DEMO = Path.of("../examples/demo");
    private static final int REQUESTS = 500;

    /** How far the two best logits must lie apart for their order to be owed. */
    private static final double NEAR_TIE = 1e-4;

    /** A line of generation.jsonl. */
    private record Case(String adapter, int[] prompt, int[] tokens, double[] gaps) {}

    /** What the engine is to do, by name. */
    private enum Kind {
        PLAIN,
        CACHING,
        SPECULATION,
        SMALL_STEPS,
        EVERYTHING,
        COMPRESSION;

        boolean isTight() {
            return this == SMALL_STEPS || this == EVERYTHING || this == COMPRESSION;
        }

        boolean caches() {
            return this == CACHING || this == EVERYTHING || this == COMPRESSION;
        }
    }

    @DataProvider
    public Object[][] models() {
        List<Object[]> rows = new ArrayList<>();
        for (String model : List.of("llama2", "llama3", "mistral", "qwen2", "qwen3", "demo")) {
            for (Kind kind : Kind.values()) {
                rows.add(new Object[] {model, kind});
            }
        }
        rows.add(new Object[] {"llama-linear-rope", Kind.EVERYTHING});
        return rows.toArray(Object[][]::new);
    }

    @Test(dataProvider = "models")
    public void generatesWhatTransformersDoes(String name, Kind kind) throws Exception {
        List<Case> cases = cases(name);
        Path folder = "demo".equals(name) ? DEMO.resolve("base") : GOLDENS.resolve(name + "/model");
        try (Model model = Model.newInstance(name, "PyTorch")) {
            CausalLanguageModel block =
                    (CausalLanguageModel)
                            new LlamaBlockFactory()
                                    .newBlock(model, folder, Map.of("dtype", "float32"));
            model.setBlock(block);
            for (String adapter : new TreeSet<>(cases.stream().map(Case::adapter).toList())) {
                if (!adapter.isEmpty()) {
                    Path root = "demo".equals(name) ? DEMO : GOLDENS.resolve(name);
                    block.getAdapters().register(adapter, root.resolve(adapter));
                }
            }
            EngineStatistics statistics = run(block, cases, kind);
            Reporter.log(name + " " + kind + ": " + statistics, true);
            check(name, kind, statistics);
        }
    }

    private static void check(String name, Kind kind, EngineStatistics statistics) {
        Assert.assertEquals(statistics.running(), 0);
        Assert.assertEquals(statistics.usedKvBlocks(), 0);
        if (kind.isTight() && !"demo".equals(name)) {
            Assert.assertTrue(statistics.preemptions() > 0, "nothing was preempted");
        }
        Assert.assertEquals(statistics.cachedTokens() > 0, kind.caches(), "tokens from the cache");
        boolean compressed = kind == Kind.COMPRESSION;
        Assert.assertEquals(statistics.restoredKvBlocks() > 0, compressed, "blocks restored");
        boolean drafted = kind == Kind.SPECULATION || kind == Kind.EVERYTHING;
        if (drafted && !"demo".equals(name)) {
            Assert.assertTrue(statistics.metTokens() > 0, "no draft was right");
        }
        if (!drafted) {
            Assert.assertEquals(statistics.draftedTokens(), 0);
        }
    }

    private static EngineOptions options(CausalLanguageModel block, Kind kind, int positions) {
        boolean tight = kind.isTight();
        int blocks = KvPool.blocksFor(positions);
        // the copies' memory is short, too
        EngineOptions.Builder options =
                kind != Kind.COMPRESSION
                        ? EngineOptions.builder()
                        : EngineOptions.builder()
                                .optKvCompression(KvCompression.LOSSLESS)
                                .optKvCompressAfter(Duration.ZERO)
                                .optKvCompressedBytes(KvPool.bytesPerBlock(block) * 2 * blocks);
        return options.optPrefixCaching(kind.caches())
                .optSpeculation(kind == Kind.SPECULATION || kind == Kind.EVERYTHING)
                .optSpeculationSequences(100)
                .optMaxTokensPerStep(tight ? 23 : 512)
                .optMaxSequences(tight ? 9 : 64)
                .optMaxAdaptersPerStep(tight ? 2 : 64)
                .optMaxQueue(REQUESTS)
                .optKvBytes(KvPool.bytesPerBlock(block) * (tight ? blocks + 8L : 64L * blocks))
                .build();
    }

    private static EngineStatistics run(CausalLanguageModel block, List<Case> cases, Kind kind)
            throws Exception {
        SplittableRandom random = new SplittableRandom(kind.ordinal());
        int longest =
                cases.stream().mapToInt(c -> c.prompt.length + c.tokens.length).max().orElse(0);
        Map<GenerationHandle, Case> handles = new HashMap<>();
        Map<GenerationHandle, Integer> limits = new HashMap<>();
        int cancelled = 0;
        try (GenerationEngine engine =
                new GenerationEngine(block, options(block, kind, longest + 1))) {
            for (int i = 0; i < REQUESTS; ++i) {
                Case one = cases.get(random.nextInt(cases.size()));
                int limit = 1 + random.nextInt(one.tokens.length);
                GenerationRequest request =
                        new GenerationRequest(
                                one.prompt, one.adapter, SamplingParameters.greedy(limit));
                GenerationHandle handle =
                        engine.submit(
                                Submission.builder(request)
                                        .optTenant("tenant-" + random.nextInt(5))
                                        .optPriority(random.nextInt(3))
                                        .build());
                if (random.nextInt(10) == 0) {
                    handle.cancel();
                    ++cancelled;
                    Assert.assertNotNull(outcome(handle));
                } else {
                    handles.put(handle, one);
                    limits.put(handle, limit);
                }
                if (random.nextInt(4) == 0) {
                    TimeUnit.MICROSECONDS.sleep(random.nextInt(3_000));
                }
            }
            Assert.assertTrue(engine.drain(Duration.ofMinutes(2)), engine.statistics().toString());
            int parted = 0;
            for (Map.Entry<GenerationHandle, Case> entry : handles.entrySet()) {
                GenerationResult result = entry.getKey().join();
                parted += compare(entry.getValue(), limits.get(entry.getKey()), result);
                List<Integer> streamed = new ArrayList<>();
                entry.getKey().forEach(token -> streamed.add(token.token()));
                Assert.assertEquals(
                        streamed.stream().mapToInt(Integer::intValue).toArray(), result.tokens());
            }
            Assert.assertTrue(cancelled > 0);
            // next to no position of the goldens is a near tie
            Assert.assertTrue(parted <= handles.size() / 50, parted + " answers parted");
            return engine.statistics();
        }
    }

    private static Object outcome(GenerationHandle handle) {
        try {
            return handle.join();
        } catch (CancellationException e) {
            return e;
        }
    }

    /** Returns whether the answer parts from the golden at a near tie, 0 or 1. */
    private static int compare(Case one, int limit, GenerationResult result) {
        int[] expected = Arrays.copyOf(one.tokens, limit);
        int at = Arrays.mismatch(expected, result.tokens());
        if (at < 0) {
            boolean whole = limit == one.tokens.length && one.tokens.length < 40;
            Assert.assertEquals(
                    result.finishReason(), whole ? FinishReason.STOP : FinishReason.LENGTH);
            return 0;
        }
        Assert.assertTrue(
                at < one.gaps.length && one.gaps[at] < NEAR_TIE,
                one.adapter
                        + " after "
                        + Arrays.toString(one.prompt)
                        + " at "
                        + at
                        + ": "
                        + Arrays.toString(result.tokens())
                        + ", expected "
                        + Arrays.toString(expected));
        return 1;
    }

    private static List<Case> cases(String name) throws Exception {
        Gson gson = new Gson();
        List<String> lines = Files.readAllLines(GOLDENS.resolve(name + "/generation.jsonl"));
        return lines.stream().skip(1).map(line -> gson.fromJson(line, Case.class)).toList();
    }
}
