/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.model.LlamaConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** What an engine does with requests beside answering them. */
public class EngineTest {

    private static final int[] PROMPT = {5, 9, 11, 7};

    private Path work;
    private TestModel model;

    @BeforeClass
    public void setUp() throws IOException {
        work = Files.createTempDirectory("engine-test");
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

    private static GenerationRequest request(String adapter, int newTokens) {
        SamplingParameters sampling =
                SamplingParameters.greedy(newTokens).toBuilder().ignoreEos(true).build();
        return new GenerationRequest(PROMPT, adapter, sampling);
    }

    private GenerationEngine engine(EngineOptions.Builder options) {
        return new GenerationEngine(model.block(), options.build());
    }

    /** Holds an engine between two steps. */
    private static final class Gate implements EngineRecorder {

        private final CountDownLatch reached = new CountDownLatch(1);
        private final CountDownLatch open = new CountDownLatch(1);

        @Override
        public void step(EngineStatistics statistics, long nanos) {
            reached.countDown();
            try {
                Assert.assertTrue(open.await(30, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    public void streamsTokensToManyReaders() throws Exception {
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            GenerationHandle handle = engine.submit(request("golden", 20));
            List<Integer> slow = new ArrayList<>();
            CompletableFuture<Void> ended = new CompletableFuture<>();
            handle.tokens().subscribe(reader(slow, ended));
            List<Integer> iterated = new ArrayList<>();
            int index = 0;
            for (GeneratedToken token : handle) {
                Assert.assertEquals(token.index(), index++);
                iterated.add(token.token());
            }
            ended.get(30, TimeUnit.SECONDS);
            int[] whole = handle.join().tokens();
            Assert.assertEquals(iterated, IntStream.of(whole).boxed().toList());
            Assert.assertEquals(slow, iterated);
            List<Integer> late = new ArrayList<>();
            CompletableFuture<Void> lateEnd = new CompletableFuture<>();
            handle.tokens().subscribe(reader(late, lateEnd));
            lateEnd.get(30, TimeUnit.SECONDS);
            Assert.assertEquals(late, iterated);
        }
    }

    /** Asks for one token at a time. */
    private static Flow.Subscriber<GeneratedToken> reader(
            List<Integer> tokens, CompletableFuture<Void> ended) {
        return new Flow.Subscriber<>() {

            private Flow.Subscription subscription;

            @Override
            public void onSubscribe(Flow.Subscription given) {
                subscription = given;
                subscription.request(1);
            }

            @Override
            public void onNext(GeneratedToken token) {
                tokens.add(token.token());
                subscription.request(1);
            }

            @Override
            public void onError(Throwable reason) {
                ended.completeExceptionally(reason);
            }

            @Override
            public void onComplete() {
                ended.complete(null);
            }
        };
    }

    @Test
    public void cancelsAtTheNextStep() throws Exception {
        Gate gate = new Gate();
        try (GenerationEngine engine = engine(EngineOptions.builder().optRecorder(gate))) {
            GenerationHandle running = engine.submit(request("golden", 100));
            GenerationHandle other = engine.submit(request("", 6));
            Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
            running.cancel();
            gate.open.countDown();
            Assert.expectThrows(CancellationException.class, running::join);
            Assert.assertEquals(other.join().tokens().length, 6);
            Assert.expectThrows(CancellationException.class, () -> running.forEach(token -> {}));
            Assert.assertTrue(engine.drain(Duration.ofSeconds(30)));
            Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
        }
    }

    @Test
    public void refusesWhatItCannotTake() throws Exception {
        Gate gate = new Gate();
        long block = KvPool.bytesPerBlock(model.block());
        GenerationEngine engine =
                engine(
                        EngineOptions.builder()
                                .optRecorder(gate)
                                .optMaxQueue(2)
                                .optMaxSequences(1)
                                .optKvBytes(2 * block));
        try (engine) {
            LoraMemoryException large =
                    Assert.expectThrows(
                            LoraMemoryException.class, () -> engine.submit(request("", 40)));
            Assert.assertEquals(
                    large.getMessage(),
                    "The request may take 44 positions, 3 KV blocks; the engine has 2 (kvBytes)");
            GenerationRequestException unknown =
                    Assert.expectThrows(
                            GenerationRequestException.class,
                            () -> engine.submit(request("nobody", 4)));
            Assert.assertTrue(unknown.getMessage().contains("Unknown adapter \"nobody\""));
            List<GenerationHandle> taken = new ArrayList<>();
            taken.add(engine.submit(request("", 4)));
            Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
            taken.add(engine.submit(request("", 4)));
            taken.add(engine.submit(request("", 4)));
            EngineBusyException busy =
                    Assert.expectThrows(
                            EngineBusyException.class, () -> engine.submit(request("", 4)));
            Assert.assertEquals(
                    busy.getMessage(),
                    "2 requests are waiting and 2 may (maxQueue); try again later");
            gate.open.countDown();
            for (GenerationHandle handle : taken) {
                Assert.assertEquals(handle.join().tokens().length, 4);
            }
        }
        Assert.expectThrows(IllegalStateException.class, () -> engine.submit(request("", 4)));
    }

    @Test
    public void aBatchMayBeLongerThanTheQueue() {
        List<GenerationRequest> requests =
                IntStream.range(0, 50).mapToObj(i -> request("rank-1", 1 + i % 3)).toList();
        EngineOptions.Builder options = EngineOptions.builder().optMaxQueue(3).optMaxSequences(4);
        try (GenerationEngine engine = engine(options)) {
            List<GenerationResult> results = engine.generate(requests);
            for (int i = 0; i < requests.size(); ++i) {
                Assert.assertEquals(results.get(i).tokens().length, 1 + i % 3);
            }
        }
    }

    @Test
    public void closingEndsWhatRunsWithItsReason() throws Exception {
        Gate gate = new Gate();
        GenerationEngine engine = engine(EngineOptions.builder().optRecorder(gate));
        GenerationHandle running = engine.submit(request("golden", 100));
        Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
        GenerationHandle arrived = engine.submit(request("golden", 100));
        gate.open.countDown();
        engine.close();
        engine.close();
        for (GenerationHandle handle : List.of(running, arrived)) {
            CancellationException e =
                    Assert.expectThrows(CancellationException.class, handle::join);
            Assert.assertEquals(
                    e.getMessage(), "The engine was closed before the request had ended");
        }
        Assert.assertTrue(model.block().getAdapters().offload("golden"), "a lease is left");
    }

    @Test
    public void aRequestThatWaitsForTooLongFails() throws Exception {
        AtomicLong clock = new AtomicLong();
        Gate gate = new Gate();
        EngineOptions.Builder options =
                EngineOptions.builder().optRecorder(gate).optTicker(clock::get).optMaxSequences(1);
        try (GenerationEngine engine = engine(options)) {
            GenerationHandle first = engine.submit(request("", 3));
            Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
            GenerationHandle late =
                    engine.submit(
                            Submission.builder(request("", 3))
                                    .optDeadline(Duration.ofMillis(20))
                                    .build());
            clock.addAndGet(Duration.ofMillis(21).toNanos());
            gate.open.countDown();
            EngineBusyException e = Assert.expectThrows(EngineBusyException.class, late::join);
            Assert.assertEquals(
                    e.getMessage(), "The request was not begun within its deadline of 20 ms");
            Assert.assertEquals(first.join().tokens().length, 3);
        }
    }

    @Test
    public void aBadStopConditionHurtsItsOwnRequestAlone() {
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            GenerationHandle bad =
                    engine.submit(
                            Submission.builder(request("golden", 9))
                                    .optStop(
                                            () ->
                                                    token -> {
                                                        throw new UnsupportedOperationException();
                                                    })
                                    .build());
            AtomicInteger seen = new AtomicInteger();
            GenerationHandle good =
                    engine.submit(
                            Submission.builder(request("golden", 9))
                                    .optStop(() -> token -> seen.incrementAndGet() == 4)
                                    .build());
            Assert.expectThrows(UnsupportedOperationException.class, bad::join);
            GenerationResult result = good.join();
            Assert.assertEquals(result.tokens().length, 4);
            Assert.assertEquals(result.finishReason(), FinishReason.STOP);
        }
    }

    @Test
    public void adaptersDoNotShareWhatTheyComputed() {
        int[] prompt = new int[40];
        for (int i = 0; i < prompt.length; ++i) {
            prompt[i] = 3 + i;
        }
        SamplingParameters greedy = SamplingParameters.greedy(6);
        EngineOptions.Builder cold = EngineOptions.builder().optPrefixCaching(false);
        List<String> adapters = List.of("", "golden", "rank-8", "golden", "", "rank-8");
        List<GenerationRequest> requests =
                adapters.stream()
                        .map(adapter -> new GenerationRequest(prompt, adapter, greedy))
                        .toList();
        List<GenerationResult> expected;
        try (GenerationEngine engine = engine(cold)) {
            expected = engine.generate(requests);
        }
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            for (int i = 0; i < requests.size(); ++i) {
                long before = engine.statistics().cachedTokens();
                int[] tokens = engine.generate(List.of(requests.get(i))).get(0).tokens();
                Assert.assertEquals(tokens, expected.get(i).tokens(), adapters.get(i));
                // two of the prompt's three blocks are full, and the second half finds them
                long cached = engine.statistics().cachedTokens() - before;
                Assert.assertEquals(cached, i < 3 ? 0 : 32, "request " + i);
            }
        }
    }

    @Test
    public void theMonitorKnowsOfAStepsMemory() {
        MemoryMonitor monitor = model.block().getAdapters().getMemoryMonitor().orElseThrow();
        List<Long> found = new ArrayList<>();
        EngineRecorder sampling =
                new EngineRecorder() {
                    @Override
                    public void step(EngineStatistics statistics, long nanos) {
                        found.add(keysAndValues(monitor));
                    }
                };
        try (GenerationEngine engine =
                        engine(
                                EngineOptions.builder()
                                        .optRecorder(sampling)
                                        .optSpeculation(false));
                GenerationEngine other = engine(EngineOptions.builder())) {
            Assert.assertEquals(other.generate(List.of(request("", 3))).size(), 1);
            Assert.assertEquals(engine.generate(List.of(request("", 30))).size(), 1);
            // what a step tells is how things stood behind the one before
            long block = KvPool.bytesPerBlock(model.block());
            Assert.assertEquals(found.get(1), Long.valueOf(block));
            Assert.assertTrue(
                    Set.of(block, 2 * block, 3 * block).containsAll(found.subList(1, 20)));
            Assert.assertEquals(keysAndValues(monitor), 0);
            Assert.assertEquals(
                    monitor.sample().consumers().get(MemoryMonitor.ACTIVATIONS), Long.valueOf(0));
            Assert.assertTrue(monitor.activationReserve() >= model.block().activationBytes(1, 1));
        }
        Assert.assertEquals(keysAndValues(monitor), 0);
    }

    @Test
    public void activationsAreThoseOfALayerOrOfTheLogits() {
        LlamaConfig config = model.block().getConfig();
        // float32; of one row the logits are more than a layer's arrays, of many tokens less
        long logits = 4L * config.vocabSize();
        long row = 4L * config.hiddenSize();
        Assert.assertEquals(model.block().activationBytes(1, 10), row + 10 * (2 * row + logits));
        long queries = 4L * config.numAttentionHeads() * config.headDim();
        long keys = 4L * config.numKeyValueHeads() * config.headDim();
        long layer = 5 * row + 2 * queries + 2 * keys + 12L * config.intermediateSize();
        Assert.assertEquals(model.block().activationBytes(1_000, 1), 1_000 * layer);
    }

    private static long keysAndValues(MemoryMonitor monitor) {
        return monitor.sample().consumers().get(MemoryMonitor.KV_CACHE);
    }

    @Test
    public void oneEngineIsSharedByAllWhoAsk() throws IOException {
        GenerationEngine shared;
        try (TestModel other = new TestModel("llama2", "cpu", work)) {
            shared = GenerationEngine.of(other.block());
            Assert.assertSame(GenerationEngine.of(other.block()), shared);
            Assert.assertNotSame(GenerationEngine.of(model.block()), shared);
            Assert.assertEquals(
                    shared.generate(List.of(request("golden", 3))).get(0).tokens().length, 3);
        }
        Assert.expectThrows(IllegalStateException.class, () -> shared.submit(request("", 1)));
    }

    @Test
    public void anEngineThatIsLeftOpenEndsWithItsModel() throws Exception {
        Gate gate = new Gate();
        TestModel other = new TestModel("llama2", "cpu", work);
        GenerationEngine engine =
                new GenerationEngine(
                        other.block(), EngineOptions.builder().optRecorder(gate).build());
        GenerationHandle handle = engine.submit(request("golden", 50));
        Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
        CompletableFuture<Void> closed = CompletableFuture.runAsync(other::close);
        gate.open.countDown();
        closed.get(30, TimeUnit.SECONDS);
        Assert.assertTrue(handle.result().isDone());
        Assert.expectThrows(IllegalStateException.class, () -> engine.submit(request("", 1)));
    }
}
