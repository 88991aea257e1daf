/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.Reporter;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Generates with small random models, which are as hard on a batch's rows as any. */
public class MixedBatchTest {

    /**
     * How far the two best logits must lie apart for their order to be owed. The logits spread over
     * about 10; kernels for different numbers of rows round float32 sums of 64 products differently
     * in every layer, which moves logits by less than 1e-5.
     */
    private static final float NEAR_TIE = 1e-4f;

    private static final SamplingParameters GREEDY = SamplingParameters.greedy(8);

    private Path work;

    @BeforeClass
    public void setUp() throws IOException {
        work = Files.createTempDirectory("generate-test");
    }

    @AfterClass
    public void tearDown() throws IOException {
        try (Stream<Path> files = Files.walk(work)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @DataProvider
    public Object[][] mixes() {
        return new Object[][] {
            {"cpu", "llama2", 50},
            {"cpu", "llama3", 50},
            {"cpu", "qwen2", 50},
            {"cpu", "qwen3", 50},
            {"pytorch", "llama2", 5},
            {"pytorch", "llama3", 5},
            {"pytorch", "qwen2", 5},
            {"pytorch", "qwen3", 5},
        };
    }

    @Test(dataProvider = "mixes")
    public void testAMixedBatchGivesWhatEachRowGivesAlone(String backend, String name, int mixes)
            throws IOException {
        Random random = new Random(name.hashCode());
        int rows = 0;
        int parted = 0;
        Set<FinishReason> reasons = new HashSet<>();
        try (TestModel model = new TestModel(name, backend, work)) {
            BatchRunner alone = new BatchRunner(model.block());
            for (int mix = 0; mix < mixes; ++mix) {
                List<GenerationRequest> requests = new ArrayList<>();
                for (int i = 1 + random.nextInt(10); i > 0; --i) {
                    requests.add(randomRequest(random, model));
                }
                // Some batches prefill in many small chunks and have rows that wait for a place.
                BatchRunner mixed =
                        random.nextBoolean()
                                ? alone
                                : new BatchRunner(
                                        model.block(),
                                        1 + random.nextInt(30),
                                        1 + random.nextInt(5));
                List<GenerationResult> results = mixed.generate(requests);
                Assert.assertEquals(results.size(), requests.size());
                for (int i = 0; i < requests.size(); ++i) {
                    GenerationRequest request = requests.get(i);
                    GenerationResult expected = alone.generate(List.of(request)).get(0);
                    GenerationResult actual = results.get(i);
                    Assert.assertEquals(actual.adapter(), request.adapter());
                    reasons.add(actual.finishReason());
                    ++rows;
                    if (partAtANearTie(model, request, actual.tokens(), expected.tokens())) {
                        ++parted;
                    } else {
                        Assert.assertEquals(actual.finishReason(), expected.finishReason());
                    }
                }
            }
        }
        Reporter.log(
                backend + " " + name + ": " + rows + " rows, " + parted + " parted at a near tie",
                true);
        if (mixes >= 50) {
            Assert.assertEquals(reasons, Set.of(FinishReason.values()));
        }
        Assert.assertTrue(parted <= 1 + rows / 200, parted + " rows parted");
    }

    @Test(dataProvider = "mixes")
    public void testGreedyDecodingAgreesWithFullForwards(String backend, String name, int ignored)
            throws IOException {
        Random random = new Random(3);
        try (TestModel model = new TestModel(name, backend, work)) {
            List<GenerationRequest> requests = new ArrayList<>();
            for (String adapter : model.adapters()) {
                requests.add(new GenerationRequest(prompt(random, model, 9), adapter, GREEDY));
            }
            List<GenerationResult> results = new BatchRunner(model.block()).generate(requests);
            Set<String> answers = new HashSet<>();
            for (int i = 0; i < requests.size(); ++i) {
                GenerationRequest request = requests.get(i);
                int[] tokens = results.get(i).tokens();
                answers.add(Arrays.toString(tokens));
                int[] oracle = oracle(model, request);
                partAtANearTie(model, request, tokens, oracle);
            }
            Assert.assertTrue(answers.size() > 1, "adapters change nothing");
        }
    }

    @Test(dataProvider = "backends")
    public void testTheSeedAloneDecidesWhateverElseIsInTheBatch(String backend) throws IOException {
        try (TestModel model = new TestModel("qwen2", backend, work)) {
            BatchRunner generator = new BatchRunner(model.block());
            SamplingParameters sampling = SamplingParameters.of(1.2, 42, 12);
            GenerationRequest request = new GenerationRequest(new int[] {1, 7}, "golden", sampling);
            GenerationRequest reseeded =
                    new GenerationRequest(
                            new int[] {1, 7}, "golden", SamplingParameters.of(1.2, 43, 12));
            int[] expected = generator.generate(List.of(request)).get(0).tokens();
            List<GenerationResult> results =
                    generator.generate(
                            List.of(
                                    new GenerationRequest(new int[] {1, 8, 9}, "", sampling),
                                    request,
                                    reseeded,
                                    new GenerationRequest(new int[] {7}, "rank-3", GREEDY),
                                    request));
            Assert.assertEquals(results.get(1).tokens(), expected);
            Assert.assertEquals(results.get(4).tokens(), expected);
            Assert.assertNotEquals(
                    Arrays.toString(results.get(2).tokens()), Arrays.toString(expected));
        }
    }

    @Test(dataProvider = "backends")
    public void testThePositionsOfTheModelEndGeneration(String backend) throws IOException {
        try (TestModel model = new TestModel("llama2", backend, work)) {
            int positions = model.positions();
            // A seed whose draws do not meet an end-of-text token before the limits.
            SamplingParameters sampling = SamplingParameters.of(3, 0, 1, 5, Integer.MAX_VALUE);
            List<GenerationRequest> requests = new ArrayList<>();
            for (int room : new int[] {1, 2, 5}) {
                int[] prompt = prompt(new Random(room), model, positions - room);
                requests.add(new GenerationRequest(prompt, "golden", sampling));
            }
            List<GenerationResult> results = new BatchRunner(model.block()).generate(requests);
            Assert.assertEquals(results.get(0).tokens().length, 1);
            Assert.assertEquals(results.get(1).tokens().length, 2);
            Assert.assertEquals(results.get(2).tokens().length, 5);
            for (GenerationResult result : results) {
                Assert.assertEquals(result.finishReason(), FinishReason.LENGTH);
            }
        }
    }

    @Test(dataProvider = "backends")
    public void testOneBadRequestStopsAllBeforeAnythingRuns(String backend) throws IOException {
        try (TestModel model = new TestModel("llama3", backend, work)) {
            BatchRunner generator = new BatchRunner(model.block());
            List<GenerationRequest> requests =
                    List.of(request("rank-1", 1), request("nobody", 1), request("rank-3", 1));
            int before = model.managed();
            GenerationRequestException e =
                    Assert.expectThrows(
                            GenerationRequestException.class,
                            () ->
                                    generator.generate(
                                            requests, statistics -> Assert.fail("a step ran")));
            Assert.assertEquals(e.getIndex(), 1);
            Assert.assertEquals(
                    e.getMessage(),
                    "requests[1]: Unknown adapter \"nobody\"; registered are [rank-1, rank-17,"
                            + " rank-3, rank-8]");
            Assert.assertEquals(model.managed(), before);
            assertNoLeases(model);

            int vocabSize = model.vocabSize();
            GenerationRequestException outside =
                    Assert.expectThrows(
                            GenerationRequestException.class,
                            () ->
                                    generator.generate(
                                            List.of(request("", 1, vocabSize)),
                                            statistics -> Assert.fail("a step ran")));
            Assert.assertTrue(
                    outside.getMessage().startsWith("requests[0]: promptTokens[1] is " + vocabSize),
                    outside.getMessage());
        }
    }

    @Test(dataProvider = "backends")
    public void testNothingLeaks(String backend) throws IOException {
        try (TestModel model = new TestModel("qwen2", backend, work)) {
            BatchRunner generator = new BatchRunner(model.block(), 8, 4);
            List<GenerationRequest> requests = new ArrayList<>();
            for (String adapter : model.adapters()) {
                requests.add(request(adapter, 1, 5, 6));
            }
            // The first steps leave the model's tables of positions behind.
            generator.generate(requests);
            int before = model.managed();
            generator.generate(requests);
            Assert.assertEquals(model.managed(), before, "after success");

            // Finite weights whose products are not: the model's logits become NaN.
            model.register("broken", work.resolve("broken-" + backend), 2, 1e30f);
            requests.add(1, request("broken", 1, 5));
            int withBroken = model.managed();
            LoraBackendException e =
                    Assert.expectThrows(
                            LoraBackendException.class, () -> generator.generate(requests));
            Assert.assertTrue(
                    e.getMessage()
                            .startsWith(
                                    "requests[1], adapter \"broken\", new token 0: a logit of"
                                            + " the model is"),
                    e.getMessage());
            Assert.assertEquals(model.managed(), withBroken, "after the model's failure");
            assertNoLeases(model);
        }
    }

    @Test(dataProvider = "backends")
    public void testLeasesHoldUntilTheEnd(String backend) throws IOException {
        try (TestModel model = new TestModel("qwen2", backend, work)) {
            BatchRunner generator = new BatchRunner(model.block());
            SamplingParameters whole = GREEDY.toBuilder().ignoreEos(true).build();
            List<GenerationRequest> requests =
                    List.of(
                            new GenerationRequest(new int[] {1, 5}, "golden", whole),
                            new GenerationRequest(new int[] {1, 5}, "", whole));
            List<GenerationResult> expected = generator.generate(requests);
            AdapterStore store = model.block().getAdapters();
            long resident = model.block().getLoraContext().getTable().residentBytes();
            List<Long> during = new ArrayList<>();
            List<GenerationResult> results =
                    generator.generate(
                            requests,
                            statistics -> {
                                if (store.names().contains("golden")) {
                                    store.unregister("golden");
                                }
                                if (statistics.newTokens()
                                        < 8) { // so the first has not all of its 8
                                    during.add(
                                            model.block()
                                                    .getLoraContext()
                                                    .getTable()
                                                    .residentBytes());
                                }
                            });
            Assert.assertEquals(results.get(0).tokens(), expected.get(0).tokens());
            Assert.assertEquals(Set.copyOf(during), Set.of(resident));
            Assert.assertTrue(
                    model.block().getLoraContext().getTable().residentBytes() < resident,
                    "freed with the last lease");
        }
    }

    @Test(dataProvider = "backends")
    public void testManyThreadsShareAModel(String backend) throws IOException {
        try (TestModel model = new TestModel("qwen2", backend, work)) {
            BatchRunner generator = new BatchRunner(model.block());
            List<GenerationRequest> requests = new ArrayList<>();
            for (String adapter : model.adapters()) {
                requests.add(request(adapter, 1, 5, 6));
            }
            List<String> expected = texts(generator.generate(requests));
            List<CompletableFuture<List<String>>> answers = new ArrayList<>();
            for (int i = 0; i < 4; ++i) {
                answers.add(
                        CompletableFuture.supplyAsync(() -> texts(generator.generate(requests))));
            }
            for (CompletableFuture<List<String>> answer : answers) {
                Assert.assertEquals(answer.join(), expected);
            }
            assertNoLeases(model);
        }
    }

    private static List<String> texts(List<GenerationResult> results) {
        return results.stream().map(result -> Arrays.toString(result.tokens())).toList();
    }

    @Test(dataProvider = "backends")
    public void testAnEmptyBatch(String backend) throws IOException {
        try (TestModel model = new TestModel("llama3", backend, work)) {
            Assert.assertEquals(new BatchRunner(model.block()).generate(List.of()), List.of());
        }
    }

    @DataProvider
    public Object[][] backends() {
        return new Object[][] {{"cpu"}, {"pytorch"}};
    }

    /** Takes all names away: what is leased keeps its memory. */
    private static void assertNoLeases(TestModel model) {
        AdapterStore store = model.block().getAdapters();
        store.names().forEach(store::unregister);
        Assert.assertEquals(model.block().getLoraContext().getTable().residentBytes(), 0);
    }

    private static GenerationRequest request(String adapter, int... prompt) {
        return new GenerationRequest(prompt, adapter, GREEDY);
    }

    private static GenerationRequest randomRequest(Random random, TestModel model) {
        String adapter = model.adapters().get(random.nextInt(model.adapters().size()));
        int newTokens = 1 + random.nextInt(12);
        SamplingParameters sampling =
                random.nextInt(3) > 0
                        ? SamplingParameters.greedy(newTokens)
                        : SamplingParameters.of(
                                0.3 + random.nextDouble(),
                                random.nextInt(3) * 20,
                                random.nextBoolean() ? 1 : 0.9,
                                random.nextLong(),
                                newTokens);
        int[] prompt = prompt(random, model, 1 + random.nextInt(20));
        return new GenerationRequest(prompt, adapter, sampling);
    }

    private static int[] prompt(Random random, TestModel model, int length) {
        return random.ints(length, 0, model.vocabSize()).toArray();
    }

    /** Decodes greedily with a whole forward for each token. */
    static int[] oracle(TestModel model, GenerationRequest request) {
        int[] tokens = request.promptTokens();
        for (int i = 0; i < request.sampling().maxNewTokens(); ++i) {
            float[] logits = model.nextLogits(tokens, request.adapter());
            int best = 0;
            for (int id = 1; id < logits.length; ++id) {
                best = logits[id] > logits[best] ? id : best;
            }
            tokens = Arrays.copyOf(tokens, tokens.length + 1);
            tokens[tokens.length - 1] = best;
            if (model.block().getConfig().eosTokenIds().contains(best)) {
                break;
            }
        }
        return Arrays.copyOfRange(tokens, request.promptTokens().length, tokens.length);
    }

    /**
     * Returns whether two greedy answers part at a near tie. Fails where they part otherwise, and
     * where sampled answers part at all: a drawn number comes as close to the bound between two
     * tokens as rounding moves it about once in a million tokens.
     */
    static boolean partAtANearTie(
            TestModel model, GenerationRequest request, int[] actual, int[] expected) {
        int at = Arrays.mismatch(actual, expected);
        if (at < 0) {
            return false;
        }
        int length = request.promptTokens().length;
        int[] prefix = Arrays.copyOf(request.promptTokens(), length + at);
        System.arraycopy(expected, 0, prefix, length, at);
        String where =
                request
                        + " at new token "
                        + at
                        + ": "
                        + Arrays.toString(actual)
                        + ", expected "
                        + Arrays.toString(expected);
        Assert.assertTrue(at < actual.length && at < expected.length, where);
        float[] logits = model.nextLogits(prefix, request.adapter());
        if (request.sampling().temperature() == 0) {
            float gap = Math.abs(logits[actual[at]] - logits[expected[at]]);
            Assert.assertTrue(gap < NEAR_TIE, where + ", the logits differ by " + gap);
        } else {
            Assert.fail(where + ", in sampling with a fixed seed");
        }
        return true;
    }
}
