/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.model.KvType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** An engine that compresses blocks of keys and values that nobody uses. */
public class KvCompressionTest {

    private Path work;
    private TestModel model;

    @BeforeClass
    public void setUp() throws IOException {
        work = Files.createTempDirectory("kv-compression-test");
        model = new TestModel("qwen2", "cpu", work);
    }

    @AfterClass
    public void tearDown() throws IOException {
        model.close();
        try (Stream<Path> files = Files.walk(work)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static GenerationRequest request(String adapter, int first) {
        int[] prompt = IntStream.range(first, first + 40).map(i -> 3 + i % 50).toArray();
        SamplingParameters sampling =
                SamplingParameters.greedy(6).toBuilder().ignoreEos(true).build();
        return new GenerationRequest(prompt, adapter, sampling);
    }

    private static EngineOptions.Builder at0(KvCompression compression) {
        return EngineOptions.builder()
                .optKvCompression(compression)
                .optKvCompressAfter(Duration.ZERO);
    }

    private static int[] answer(GenerationEngine engine, GenerationRequest request) {
        return engine.generate(List.of(request)).get(0).tokens();
    }

    private static EngineStatistics awaitCompressed(GenerationEngine engine)
            throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (engine.statistics().cachedKvBlocks() > 0) {
            Assert.assertTrue(System.nanoTime() < end, engine.statistics().toString());
            TimeUnit.MILLISECONDS.sleep(1);
        }
        return engine.statistics();
    }

    private List<int[]> expected(List<GenerationRequest> requests) {
        EngineOptions cold = EngineOptions.builder().optPrefixCaching(false).build();
        try (GenerationEngine engine = new GenerationEngine(model.block(), cold)) {
            return engine.generate(requests).stream().map(GenerationResult::tokens).toList();
        }
    }

    @DataProvider
    public Object[][] backends() {
        return new Object[][] {{"cpu"}, {"pytorch"}};
    }

    @Test(dataProvider = "backends")
    public void aRestoredPrefixGivesTheSameTokens(String backend) throws Exception {
        try (TestModel other = new TestModel("qwen2", backend, work)) {
            restores(other);
            int managed = other.managed();
            restores(other);
            Assert.assertEquals(other.managed(), managed, "arrays are left");
        }
    }

    private static void restores(TestModel other) throws InterruptedException {
        List<String> adapters = List.of("", "golden", "rank-8");
        EngineOptions options = at0(KvCompression.LOSSLESS).build();
        List<int[]> first = new ArrayList<>();
        try (GenerationEngine engine = new GenerationEngine(other.block(), options)) {
            for (String adapter : adapters) {
                first.add(answer(engine, request(adapter, 0)));
            }
            // two full blocks of each prompt, which adapters do not share
            EngineStatistics compressed = awaitCompressed(engine);
            Assert.assertEquals(compressed.compressedKvBlocks(), 6);
            Assert.assertEquals(compressed.compressions(), 6);
            long plain = 6 * compressed.kvBlockBytes();
            Assert.assertTrue(compressed.compressedKvBytes() < plain, "nothing was saved");
            for (int i = 0; i < adapters.size(); ++i) {
                int[] again = answer(engine, request(adapters.get(i), 0));
                Assert.assertEquals(again, first.get(i), adapters.get(i));
                EngineStatistics statistics = engine.statistics();
                Assert.assertEquals(statistics.cachedTokens(), 32 * (i + 1));
                Assert.assertEquals(statistics.restoredKvBlocks(), 2 * (i + 1));
            }
            // what was restored has its copy still
            Assert.assertEquals(awaitCompressed(engine).compressions(), 6);
        }
    }

    @Test
    public void aPoolOfTheSameBytesCachesMore() throws Exception {
        List<GenerationRequest> requests =
                IntStream.range(0, 20).mapToObj(i -> request("golden", i)).toList();
        List<int[]> expected = expected(requests);
        long block = KvPool.bytesPerBlock(model.block());
        EngineOptions.Builder small = EngineOptions.builder().optKvBytes(6 * block);
        EngineOptions.Builder large =
                at0(KvCompression.LOSSLESS)
                        .optKvBytes(6 * block)
                        .optKvCompressedBytes(60 * block)
                        // so that blocks are compressed that must make room, too
                        .optKvCompressAfter(Duration.ofHours(1));
        long[] cached = new long[2];
        for (EngineOptions.Builder options : List.of(small, large)) {
            try (GenerationEngine engine = new GenerationEngine(model.block(), options.build())) {
                for (int round = 0; round < 2; ++round) {
                    for (int i = 0; i < requests.size(); ++i) {
                        Assert.assertEquals(answer(engine, requests.get(i)), expected.get(i));
                    }
                }
                cached[options == small ? 0 : 1] = engine.statistics().cachedTokens();
            }
        }
        // the pool holds three prompts, and twenty come before each comes again
        Assert.assertEquals(cached, new long[] {0, 20 * 32});
    }

    @Test
    public void roundsWithinItsCodecAndSaysWhatItTakes() throws Exception {
        MemoryMonitor monitor = model.block().getAdapters().getMemoryMonitor().orElseThrow();
        for (KvCompression compression : List.of(KvCompression.INT8, KvCompression.FLOAT16)) {
            EngineOptions options = at0(compression).optKvPrunedShare(0.01).build();
            try (GenerationEngine engine = new GenerationEngine(model.block(), options)) {
                answer(engine, request("golden", 0));
                EngineStatistics compressed = awaitCompressed(engine);
                long plain = compressed.compressedKvBlocks() * compressed.kvBlockBytes();
                Assert.assertTrue(compressed.compressedKvBytes() < 0.55 * plain);
                Assert.assertEquals(
                        monitor.sample().consumers().get(MemoryMonitor.KV_CACHE),
                        Long.valueOf(compressed.compressedKvBytes()));
                Assert.assertEquals(answer(engine, request("golden", 0)).length, 6);
                Assert.assertEquals(engine.statistics().restoredKvBlocks(), 2);
            }
            Assert.assertEquals(
                    monitor.sample().consumers().get(MemoryMonitor.KV_CACHE), Long.valueOf(0));
        }
    }

    @Test
    public void aStepRestoresABoundedNumberOfBlocks() throws Exception {
        // so few tokens a step that a prompt's two blocks cannot be restored in one
        EngineOptions options = at0(KvCompression.LOSSLESS).optMaxTokensPerStep(1).build();
        List<GenerationRequest> requests = List.of(request("", 0), request("", 9));
        List<int[]> expected = expected(requests);
        try (GenerationEngine engine = new GenerationEngine(model.block(), options)) {
            for (int round = 0; round < 2; ++round) {
                List<GenerationResult> results = engine.generate(requests);
                for (int i = 0; i < requests.size(); ++i) {
                    Assert.assertEquals(results.get(i).tokens(), expected.get(i));
                }
                awaitCompressed(engine);
            }
            // of each prompt one block is restored, and the other run
            EngineStatistics statistics = engine.statistics();
            Assert.assertEquals(statistics.restoredKvBlocks(), 2);
            Assert.assertEquals(statistics.cachedTokens(), 32);
        }
    }

    @Test
    public void aPoolInEightBitsHoldsMore() throws Exception {
        long block = KvPool.bytesPerBlock(model.block(), KvType.INT8);
        Assert.assertTrue(4 * block < 1.2 * KvPool.bytesPerBlock(model.block()));
        EngineOptions.Builder options =
                EngineOptions.builder()
                        .optKvType(KvType.INT8)
                        .optKvBytes(7 * block)
                        .optMaxTokensPerStep(13);
        List<GenerationRequest> requests =
                IntStream.range(0, 30)
                        .mapToObj(i -> request(model.adapters().get(i % 4), i % 5))
                        .toList();
        List<int[]> expected = expected(requests);
        int same = 0;
        try (GenerationEngine engine = new GenerationEngine(model.block(), options.build())) {
            Assert.assertEquals(engine.statistics().kvBlocks(), 7);
            Assert.assertEquals(engine.statistics().kvBlockBytes(), block);
            List<GenerationResult> results = engine.generate(requests);
            for (int i = 0; i < results.size(); ++i) {
                Assert.assertEquals(results.get(i).tokens().length, 6);
                same += results.get(i).tokens()[0] == expected.get(i)[0] ? 1 : 0;
            }
            Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            Assert.assertTrue(engine.statistics().cachedTokens() > 0, "nothing was cached");
        }
        // a model of random weights is of two minds now and then
        Assert.assertTrue(same >= 24, same + " of 30 first tokens");
    }

    @Test
    public void refusesAPoolThatTheBackendHasNot() throws Exception {
        try (TestModel other = new TestModel("qwen2", "pytorch", work)) {
            int managed = other.managed();
            EngineOptions options = EngineOptions.builder().optKvType(KvType.INT8).build();
            LoraBackendException e =
                    Assert.expectThrows(
                            LoraBackendException.class,
                            () -> new GenerationEngine(other.block(), options));
            Assert.assertTrue(e.getMessage().contains("int8 was asked for"), e.getMessage());
            Assert.assertEquals(other.managed(), managed, "arrays are left");
        }
    }

    @Test
    public void refusesOptionsThatDoNothing() {
        refuses(
                at0(KvCompression.LOSSLESS).optKvType(KvType.INT8),
                "kvCompression is lossless and kvType int8, whose blocks are not compressed any"
                        + " further; choose one of them");
        refuses(
                EngineOptions.builder()
                        .optKvCompression(KvCompression.INT8)
                        .optPrefixCaching(false),
                "kvCompression is int8 without prefixCaching, and there are no unused blocks to"
                        + " compress");
        refuses(
                EngineOptions.builder().optKvPrunedShare(0.5),
                "kvPrunedShare is 0.5 without kvCompression");
        refuses(
                at0(KvCompression.INT8).optKvPrunedShare(1),
                "kvPrunedShare is 1.0; it must be 0 or more and below 1");
        refuses(
                at0(KvCompression.INT8).optKvCompressAfter(Duration.ofMillis(-1)),
                "kvCompressAfter is PT-0.001S; it must be 0 or more");
        int managed = model.managed();
        LoraConfigurationException small =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                new GenerationEngine(
                                        model.block(),
                                        at0(KvCompression.INT8).optKvCompressedBytes(1).build()));
        long block = KvPool.bytesPerBlock(model.block());
        Assert.assertEquals(
                small.getMessage(),
                "kvCompressedBytes is 1; a block of this model may take " + block);
        Assert.assertEquals(model.managed(), managed, "arrays are left");
    }

    private static void refuses(EngineOptions.Builder options, String message) {
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, options::build);
        Assert.assertEquals(e.getMessage(), message);
    }
}
