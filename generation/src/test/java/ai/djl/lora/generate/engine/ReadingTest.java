/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.Pooling;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.safetensors.SafetensorsFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Scores texts and makes vectors of them, beside generations. */
public class ReadingTest {

    /**
     * Logits are those of transformers within 1e-4, so a difference of two is within twice that.
     */
    private static final double SCORE_TOLERANCE = 2e-4;

    /** States are about 1; float32 sums of other orders differ by far less than this. */
    private static final double STATE_TOLERANCE = 1e-4;

    private static final List<String> SCORED =
            List.of(
                    "base",
                    "lora",
                    "dora-bias",
                    "ia3-all",
                    "prefix",
                    "prompt",
                    "alora",
                    "lora-embedding",
                    "lora-head",
                    "modules-to-save-both",
                    "modules-to-save-norm",
                    "trainable-tokens");

    private static final List<String> EMBEDDED =
            List.of(
                    "base",
                    "lora",
                    "dora-bias",
                    "ia3-all",
                    "prefix",
                    "prompt",
                    "alora",
                    "modules-to-save-final-norm",
                    "lora-embedding");

    @DataProvider
    public Object[][] models() {
        return new Object[][] {
            {"cpu", "llama"}, {"cpu", "qwen2"}, {"pytorch", "llama"}, {"pytorch", "qwen2"},
        };
    }

    /** What PEFT computes for two rows of tokens. */
    private record Golden(int[][] rows, float[] values, int size) {

        static Golden read(Path file, String prefix, String values) {
            try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
                long[] shape = tensors.tensor(prefix + values).shape();
                float[] floats = new float[(int) (shape[0] * shape[1] * shape[2])];
                bytes(tensors, prefix + values).asFloatBuffer().get(floats);
                long[] ids = new long[(int) (shape[0] * shape[1])];
                bytes(tensors, prefix + "input_ids").asLongBuffer().get(ids);
                int length = (int) shape[1];
                int[][] rows =
                        IntStream.range(0, (int) shape[0])
                                .mapToObj(row -> row(ids, row * length, length))
                                .toArray(int[][]::new);
                return new Golden(rows, floats, (int) shape[2]);
            }
        }

        private static int[] row(long[] ids, int from, int length) {
            return IntStream.range(from, from + length).map(i -> (int) ids[i]).toArray();
        }

        private static ByteBuffer bytes(SafetensorsFile tensors, String name) {
            return ByteBuffer.wrap(tensors.read(tensors.tensor(name)))
                    .order(ByteOrder.LITTLE_ENDIAN);
        }

        /** Returns the vector of a token. */
        float[] at(int row, int token) {
            int from = (row * rows[0].length + token) * size;
            return Arrays.copyOfRange(values, from, from + size);
        }
    }

    private static Golden logits(String model, String variant) {
        return Golden.read(folder(model).resolve(variant + ".safetensors"), "", "logits");
    }

    private static Golden states(String model, String variant) {
        Path file = TestModel.GOLDENS.resolve("states").resolve(model + ".safetensors");
        return Golden.read(file, variant + '.', "states");
    }

    private static Path folder(String name) {
        return TestModel.GOLDENS.resolve("variants").resolve(name);
    }

    private static TestModel load(String name, String backend, List<String> variants)
            throws IOException {
        TestModel model = new TestModel(folder(name).resolve("base"), backend);
        AdapterStore store = model.block().getAdapters();
        for (String variant : variants) {
            if (!"base".equals(variant)) {
                store.register(variant, folder(name).resolve("adapters").resolve(variant));
            }
        }
        return model;
    }

    private static String adapter(String variant) {
        return "base".equals(variant) ? "" : variant;
    }

    @Test(dataProvider = "models")
    public void scoresAreThoseOfTransformersBesideGenerations(String backend, String name)
            throws IOException {
        // small steps: texts are read in pieces, and logits computed a few rows at a time
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxTokensPerStep(37)
                        .optMaxSequences(9)
                        .optScoringBytes(64 * Float.BYTES * 5)
                        .build();
        try (TestModel model = load(name, backend, SCORED);
                GenerationEngine engine = new GenerationEngine(model.block(), options)) {
            List<Runnable> checks = new ArrayList<>();
            for (String variant : SCORED) {
                Golden golden = logits(name, variant);
                for (int row = 0; row < golden.rows().length; ++row) {
                    int[] tokens = golden.rows()[row];
                    for (int from : new int[] {1, 9, tokens.length - 1}) {
                        ReadingHandle<ScoringResult> handle =
                                engine.read(new ScoringRequest(tokens, from, adapter(variant)));
                        int atRow = row;
                        checks.add(() -> assertScores(golden, atRow, from, handle.join()));
                    }
                    GenerationRequest beside =
                            new GenerationRequest(
                                    tokens, adapter(variant), SamplingParameters.greedy(5));
                    GenerationHandle generated = engine.submit(beside);
                    // the same text again behind what it begins with, which may come out of a cache
                    checks.add(() -> Assert.assertTrue(generated.join().tokens().length > 0));
                }
            }
            Collections.shuffle(checks, new Random(2));
            checks.forEach(Runnable::run);
        }
    }

    private static void assertScores(Golden golden, int row, int from, ScoringResult result) {
        int[] tokens = golden.rows()[row];
        String what = result.adapter() + ", row " + row + ", from " + from;
        Assert.assertEquals(result.tokens(), Arrays.copyOfRange(tokens, from, tokens.length), what);
        double sum = 0;
        boolean all = true;
        for (int i = from; i < tokens.length; ++i) {
            float[] logits = golden.at(row, i - 1);
            double most =
                    IntStream.range(0, logits.length).mapToDouble(t -> logits[t]).max().orElse(0);
            double total = 0;
            for (float logit : logits) {
                total += Math.exp(logit - most);
            }
            double expected = logits[tokens[i]] - most - Math.log(total);
            Assert.assertEquals(result.logProbs()[i - from], expected, SCORE_TOLERANCE, what);
            boolean greedy = logits[tokens[i]] == most;
            if (greedy || most - logits[tokens[i]] > SCORE_TOLERANCE) {
                Assert.assertEquals(result.greedy()[i - from], greedy, what);
            }
            sum += expected;
            all &= greedy;
        }
        int count = tokens.length - from;
        Assert.assertEquals(result.logLikelihood(), sum, SCORE_TOLERANCE * count, what);
        Assert.assertEquals(
                result.perplexity(), Math.exp(-sum / count), 0.001 * Math.exp(-sum / count));
        Assert.assertEquals(result.isGreedy(), all, what);
        boolean base = result.adapter().isEmpty();
        Assert.assertEquals("base".equals(result.revision()), base, what);
    }

    @Test(dataProvider = "models")
    public void whatIsGeneratedGreedilyIsScoredAsGreedy(String backend, String name)
            throws IOException {
        try (TestModel model = load(name, backend, List.of("lora"));
                GenerationEngine engine =
                        new GenerationEngine(model.block(), EngineOptions.builder().build())) {
            int[] prompt = logits(name, "lora").rows()[0];
            SamplingParameters sampling =
                    SamplingParameters.greedy(20).toBuilder().ignoreEos(true).build();
            int[] answer =
                    engine.generate(List.of(new GenerationRequest(prompt, "lora", sampling)))
                            .get(0)
                            .tokens();
            int[] whole = Arrays.copyOf(prompt, prompt.length + answer.length);
            System.arraycopy(answer, 0, whole, prompt.length, answer.length);
            ScoringRequest request = new ScoringRequest(whole, prompt.length, "lora");
            Assert.assertTrue(engine.read(request).join().isGreedy());
            whole[whole.length - 1] = (whole[whole.length - 1] + 1) % model.vocabSize();
            Assert.assertFalse(engine.read(request).join().isGreedy());
        }
    }

    @Test(dataProvider = "models")
    public void vectorsArePooledOfTheStatesThatPeftComputes(String backend, String name)
            throws IOException {
        EngineOptions options = EngineOptions.builder().optMaxTokensPerStep(37).build();
        try (TestModel model = load(name, backend, EMBEDDED);
                GenerationEngine engine = new GenerationEngine(model.block(), options)) {
            List<EmbeddingRequest> requests = new ArrayList<>();
            List<double[]> expected = new ArrayList<>();
            for (String variant : EMBEDDED) {
                Golden golden = states(name, variant);
                for (int row = 0; row < golden.rows().length; ++row) {
                    for (Pooling pooling : Pooling.values()) {
                        for (boolean normalize : new boolean[] {false, true}) {
                            requests.add(
                                    new EmbeddingRequest(
                                            golden.rows()[row],
                                            pooling,
                                            normalize,
                                            adapter(variant)));
                            expected.add(pooled(golden, row, pooling, normalize));
                        }
                    }
                }
            }
            List<EmbeddingResult> results = engine.readAll(requests);
            for (int i = 0; i < results.size(); ++i) {
                Assert.assertEquals(results.get(i).tokens(), requests.get(i).tokens().length);
                assertClose(results.get(i).vector(), expected.get(i), requests.get(i).toString());
            }
        }
    }

    private static double[] pooled(Golden golden, int row, Pooling pooling, boolean normalize) {
        int tokens = golden.rows()[row].length;
        double[] vector = new double[golden.size()];
        double weights = 0;
        for (int token = 0; token < tokens; ++token) {
            double weight =
                    switch (pooling) {
                        case MEAN -> 1;
                        case WEIGHTED_MEAN -> token + 1;
                        default -> token == tokens - 1 ? 1 : 0;
                    };
            float[] state = golden.at(row, token);
            for (int i = 0; i < vector.length; ++i) {
                vector[i] += weight * state[i];
            }
            weights += weight;
        }
        double length = Math.sqrt(Arrays.stream(vector).map(value -> value * value).sum());
        double divisor = normalize ? length : weights;
        return Arrays.stream(vector).map(value -> value / divisor).toArray();
    }

    private static void assertClose(float[] actual, double[] expected, String what) {
        Assert.assertEquals(actual.length, expected.length, what);
        for (int i = 0; i < actual.length; ++i) {
            Assert.assertEquals(actual[i], expected[i], STATE_TOLERANCE, what + ", " + i);
        }
    }

    /** Returns a text of three full blocks and a little more. */
    private static int[] text(int seed) {
        return new Random(seed).ints(3 * KvPool.BLOCK_POSITIONS + 5, 3, 60).toArray();
    }

    @Test
    public void onlyRowsThatNobodyAsksForComeOutOfACache() throws IOException {
        int[] text = text(5);
        List<ReadRequest<?>> requests =
                List.of(
                        new EmbeddingRequest(text, Pooling.MEAN, true, "lora"),
                        new EmbeddingRequest(text, Pooling.WEIGHTED_MEAN, true, "lora"),
                        new EmbeddingRequest(text, Pooling.LAST_TOKEN, true, "lora"),
                        new ScoringRequest(text, 1, "lora"),
                        new ScoringRequest(text, 34, "lora"),
                        new ScoringRequest(text, 33, "lora"),
                        new ScoringRequest(text, 32, "lora"));
        int[] cached = {0, 0, 48, 0, 32, 32, 16};
        try (TestModel model = load("llama", "cpu", List.of("lora"))) {
            List<float[]> cold = new ArrayList<>();
            EngineOptions without = EngineOptions.builder().optPrefixCaching(false).build();
            try (GenerationEngine engine = new GenerationEngine(model.block(), without)) {
                requests.forEach(request -> cold.add(values(engine.read(request).join())));
            }
            EngineOptions with = EngineOptions.builder().build();
            try (GenerationEngine engine = new GenerationEngine(model.block(), with)) {
                SamplingParameters greedy = SamplingParameters.greedy(1);
                engine.generate(List.of(new GenerationRequest(text, "lora", greedy)));
                for (int i = 0; i < requests.size(); ++i) {
                    long before = engine.statistics().cachedTokens();
                    float[] warm = values(engine.read(requests.get(i)).join());
                    long found = engine.statistics().cachedTokens() - before;
                    Assert.assertEquals(found, cached[i], "request " + i);
                    double[] expected = new double[warm.length];
                    Arrays.setAll(expected, k -> 0);
                    for (int k = 0; k < expected.length; ++k) {
                        expected[k] = cold.get(i)[k];
                    }
                    assertClose(warm, expected, "request " + i);
                }
            }
        }
    }

    private static float[] values(Object result) {
        return result instanceof ScoringResult scores
                ? scores.logProbs()
                : ((EmbeddingResult) result).vector();
    }

    @Test
    public void whatLosesItsPlaceIsReadOn() throws IOException {
        try (TestModel model = load("llama", "cpu", List.of("lora"))) {
            List<ScoringRequest> scorings = new ArrayList<>();
            List<EmbeddingRequest> embeddings = new ArrayList<>();
            for (int i = 0; i < 6; ++i) {
                String adapter = i % 2 == 0 ? "lora" : "";
                scorings.add(new ScoringRequest(text(i), 1 + i, adapter));
                embeddings.add(new EmbeddingRequest(text(i), Pooling.MEAN, false, adapter));
            }
            List<ScoringResult> scores;
            List<EmbeddingResult> vectors;
            EngineOptions wide = EngineOptions.builder().optPrefixCaching(false).build();
            try (GenerationEngine engine = new GenerationEngine(model.block(), wide)) {
                scores = engine.readAll(scorings);
                vectors = engine.readAll(embeddings);
                Assert.assertEquals(engine.statistics().preemptions(), 0);
            }
            // one text more than fits, and steps that end within each
            EngineOptions tight =
                    EngineOptions.builder()
                            .optMaxTokensPerStep(24)
                            .optKvBytes(6 * KvPool.bytesPerBlock(model.block()))
                            .build();
            try (GenerationEngine engine = new GenerationEngine(model.block(), tight)) {
                List<ReadingHandle<ScoringResult>> readings = new ArrayList<>();
                List<ReadingHandle<EmbeddingResult>> others = new ArrayList<>();
                List<GenerationHandle> generations = new ArrayList<>();
                SamplingParameters long40 =
                        SamplingParameters.greedy(40).toBuilder().ignoreEos(true).build();
                for (int i = 0; i < scorings.size(); ++i) {
                    generations.add(
                            engine.submit(new GenerationRequest(new int[] {4, 5}, "", long40)));
                    readings.add(engine.read(scorings.get(i)));
                    others.add(engine.read(embeddings.get(i)));
                }
                for (int i = 0; i < scorings.size(); ++i) {
                    assertClose(
                            readings.get(i).join().logProbs(),
                            doubles(scores.get(i).logProbs()),
                            "text " + i);
                    assertClose(
                            others.get(i).join().vector(),
                            doubles(vectors.get(i).vector()),
                            "text " + i);
                    Assert.assertEquals(generations.get(i).join().tokens().length, 40);
                }
                Assert.assertTrue(engine.statistics().preemptions() > 0);
            }
        }
    }

    private static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }

    @Test
    public void textsThatCannotBeReadAreRefused() throws IOException {
        try (TestModel model = load("llama", "cpu", List.of("lora", "prompt", "alora"));
                GenerationEngine engine =
                        new GenerationEngine(model.block(), EngineOptions.builder().build())) {
            int positions = model.positions();
            int[] longest = new int[positions];
            Arrays.fill(longest, 3);
            // a text may take every position, since nothing follows it
            EmbeddingRequest whole = new EmbeddingRequest(longest, Pooling.MEAN, true, "lora");
            Assert.assertEquals(engine.read(whole).join().tokens(), positions);
            Assert.assertEquals(
                    engine.read(new ScoringRequest(longest, 1, "")).join().tokens().length,
                    positions - 1);
            assertRefused(
                    engine,
                    new ScoringRequest(Arrays.copyOf(longest, positions + 1), 1, ""),
                    "tokens has 129 tokens; the model has 128 positions");
            assertRefused(
                    engine,
                    new ScoringRequest(longest, 1, "prompt"),
                    "tokens has 128 tokens; the model has 128 positions and adapter \"prompt\""
                            + " takes 5, so a text has at most 123");
            assertRefused(
                    engine,
                    new ScoringRequest(new int[] {4, 5}, 2, ""),
                    "from is 2 and tokens has 2 tokens; at least one is scored, and one stands"
                            + " before it");
            assertRefused(
                    engine,
                    new ScoringRequest(new int[] {4, 5}, 0, ""),
                    "from is 0 and tokens has 2 tokens; at least one is scored, and one stands"
                            + " before it");
            assertRefused(
                    engine,
                    new EmbeddingRequest(new int[0], Pooling.MEAN, true, ""),
                    "tokens is empty; at least one token is needed");
            assertRefused(
                    engine,
                    new EmbeddingRequest(new int[] {64}, Pooling.MEAN, true, ""),
                    "tokens[0] is 64; the model's vocabulary is 0 to 63");
            assertRefused(
                    engine,
                    new ScoringRequest(new int[] {4, 5}, 1, "alora"),
                    "tokens lacks the invocation tokens [7, 11, 7] from which on adapter \"alora\""
                            + " acts; a prompt must hold them in this order");
            assertRefused(
                    engine,
                    new ScoringRequest(new int[] {4, 5}, 1, "nobody"),
                    "Unknown adapter \"nobody\"; registered are [alora, lora, prompt]");
        }
    }

    private static void assertRefused(
            GenerationEngine engine, ReadRequest<?> request, String reason) {
        GenerationRequestException e =
                Assert.expectThrows(GenerationRequestException.class, () -> engine.read(request));
        Assert.assertEquals(e.getReason(), reason);
    }

    @Test
    public void readingsAreCancelledAndCounted() throws Exception {
        List<String> ends = new ArrayList<>();
        CountDownLatch go = new CountDownLatch(1);
        EngineRecorder recorder =
                new EngineRecorder() {
                    @Override
                    public void finished(
                            String adapter, int prompt, int cached, int newTokens, long nanos) {
                        ends.add(adapter + ' ' + prompt + ' ' + newTokens);
                    }

                    @Override
                    public void failed(String adapter, Throwable reason) {
                        ends.add(adapter + ' ' + reason.getClass().getSimpleName());
                    }

                    @Override
                    public void step(EngineStatistics statistics, long nanos) {
                        try {
                            Assert.assertTrue(go.await(30, TimeUnit.SECONDS));
                        } catch (InterruptedException e) {
                            throw new IllegalStateException(e);
                        }
                    }
                };
        EngineOptions options =
                EngineOptions.builder().optRecorder(recorder).optMaxTokensPerStep(1).build();
        try (TestModel model = load("llama", "cpu", List.of("lora"))) {
            try (GenerationEngine first =
                    new GenerationEngine(model.block(), EngineOptions.builder().build())) {
                // the first steps leave the model's tables of positions behind
                first.read(new ScoringRequest(text(1), 1, "lora")).join();
            }
            int before = model.managed();
            try (GenerationEngine engine = new GenerationEngine(model.block(), options)) {
                ReadingHandle<ScoringResult> cancelled =
                        engine.read(
                                new ScoringRequest(text(1), 1, "lora"),
                                submission -> submission.optPriority(-1).optTenant("slow"));
                cancelled.cancel();
                go.countDown();
                Assert.expectThrows(CancellationException.class, cancelled::join);
                int[] tokens = {5, 6, 7};
                Assert.assertEquals(
                        engine.read(new ScoringRequest(tokens, 1, "lora")).join().tokens().length,
                        2);
                Assert.assertEquals(engine.statistics().newTokens(), 0);
                Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            }
            Assert.assertEquals(ends, List.of("lora CancellationException", "lora 3 0"));
            Assert.assertEquals(model.managed(), before);
        }
    }
}
