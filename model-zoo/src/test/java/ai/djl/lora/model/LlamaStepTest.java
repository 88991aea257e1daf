/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.testng.Assert.ThrowingRunnable;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Steps of every kind agree with whole forwards, keep their memory in bounds and check first. */
public class LlamaStepTest {

    /** The same float32 sums in another order; logits are about 1. */
    private static final double TOLERANCE = 1e-5;

    private static final int LENGTH = 40;

    @DataProvider
    public Object[][] models() {
        List<Object[]> cases = new ArrayList<>();
        for (String backend : TestModels.BACKENDS) {
            for (String name : TestModels.NAMES) {
                cases.add(new Object[] {backend, name});
            }
        }
        return cases.toArray(Object[][]::new);
    }

    @DataProvider
    public Object[][] backends() {
        return Arrays.stream(TestModels.BACKENDS)
                .map(backend -> new Object[] {backend})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "models")
    public void decodingTokenByTokenEqualsTheWholeForward(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            int[] tokens = TestModels.tokens(model.block().getConfig(), LENGTH, 1);
            float[] whole = whole(model, BatchPlan.BASE, tokens);
            int[] ones = new int[LENGTH - 5];
            Arrays.fill(ones, 1);
            assertChunksEqual(model, tokens, whole, 5, ones);
        }
    }

    @Test(dataProvider = "models")
    public void promptsInPartsEqualTheWholeForward(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            int[] tokens = TestModels.tokens(model.block().getConfig(), LENGTH, 2);
            float[] whole = whole(model, BatchPlan.BASE, tokens);
            // below, at and above mistral's window of 8, and over the cache's first capacity of 32
            assertChunksEqual(model, tokens, whole, 3, 8, 2, 9, 1, 16, 1);
        }
    }

    private static void assertChunksEqual(
            TestModels.Loaded model, int[] tokens, float[] whole, int first, int... others) {
        int vocab = model.block().getConfig().vocabSize();
        try (KvCache cache = model.block().newKvCache(model.manager())) {
            int from = 0;
            for (int i = -1; i < others.length; ++i) {
                int to = from + (i < 0 ? first : others[i]);
                float[] logits =
                        model.logits(
                                ForwardStep.builder()
                                        .optAllPositions(true)
                                        .addSequence(
                                                cache,
                                                BatchPlan.BASE,
                                                Arrays.copyOfRange(tokens, from, to))
                                        .build());
                float[] expected = Arrays.copyOfRange(whole, from * vocab, to * vocab);
                assertClose(logits, expected, "tokens " + from + " to " + to);
                assertEquals(cache.length(), to);
                from = to;
            }
            assertEquals(from, tokens.length);
        }
    }

    @Test(dataProvider = "models")
    public void sequencesOfOneStepEqualEachAlone(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            LlamaConfig config = model.block().getConfig();
            int vocab = config.vocabSize();
            int[] lengths = {1, 17, 3, 30};
            List<KvCache> caches = new ArrayList<>();
            ForwardStep.Builder prompts = ForwardStep.builder();
            ForwardStep.Builder decode = ForwardStep.builder();
            float[][] alone = new float[lengths.length][];
            for (int i = 0; i < lengths.length; ++i) {
                int[] tokens = TestModels.tokens(config, lengths[i] + 1, 10 + i);
                alone[i] = whole(model, BatchPlan.BASE, tokens);
                caches.add(model.block().newKvCache(model.manager()));
                int[] prompt = Arrays.copyOf(tokens, lengths[i]);
                prompts.addSequence(caches.get(i), BatchPlan.BASE, prompt);
                decode.addSequence(caches.get(i), BatchPlan.BASE, tokens[lengths[i]]);
            }
            float[] afterPrompts = model.logits(prompts.build());
            float[] afterDecode = model.logits(decode.build());
            for (int i = 0; i < lengths.length; ++i) {
                int last = (lengths[i] - 1) * vocab;
                assertClose(
                        Arrays.copyOfRange(afterPrompts, i * vocab, (i + 1) * vocab),
                        Arrays.copyOfRange(alone[i], last, last + vocab),
                        "prompt of sequence " + i);
                assertClose(
                        Arrays.copyOfRange(afterDecode, i * vocab, (i + 1) * vocab),
                        Arrays.copyOfRange(alone[i], last + vocab, last + 2 * vocab),
                        "next token of sequence " + i);
            }
            caches.forEach(KvCache::close);
        }
    }

    @Test(dataProvider = "backends")
    public void adaptersOfOneStepKeepToTheirSequences(String backend) {
        try (TestModels.Loaded model = TestModels.load("qwen3", backend)) {
            model.block()
                    .getAdapters()
                    .register("a", TestModels.folder("qwen3").resolve("adapter"));
            int vocab = model.block().getConfig().vocabSize();
            int[] tokens = TestModels.tokens(model.block().getConfig(), 12, 3);
            try (AdapterLease lease = model.block().getAdapters().acquire("a");
                    KvCache base = model.block().newKvCache(model.manager());
                    KvCache adapted = model.block().newKvCache(model.manager());
                    KvCache baseAgain = model.block().newKvCache(model.manager())) {
                float[] expectedBase = last(whole(model, BatchPlan.BASE, tokens), vocab);
                float[] expectedAdapted = last(whole(model, lease.getSlot(), tokens), vocab);
                assertTrue(TestModels.maxDifference(expectedBase, expectedAdapted) > 1e-2);
                float[] logits =
                        model.logits(
                                ForwardStep.builder()
                                        .addSequence(base, BatchPlan.BASE, tokens)
                                        .addSequence(adapted, lease.getSlot(), tokens)
                                        .addSequence(baseAgain, BatchPlan.BASE, tokens)
                                        .build());
                assertClose(Arrays.copyOf(logits, vocab), expectedBase, "base");
                assertClose(
                        Arrays.copyOfRange(logits, vocab, 2 * vocab), expectedAdapted, "adapted");
                assertClose(last(logits, vocab), expectedBase, "base again");
            }
        }
    }

    @Test(dataProvider = "backends")
    public void djlCallTakesPlansForRowsAndForTokens(String backend) {
        try (TestModels.Loaded model = TestModels.load("llama2", backend)) {
            model.block()
                    .getAdapters()
                    .register("a", TestModels.folder("llama2").resolve("adapter"));
            int[] tokens = TestModels.tokens(model.block().getConfig(), 6, 4);
            try (AdapterLease lease = model.block().getAdapters().acquire("a")) {
                int slot = lease.getSlot();
                float[] byRow = djlCall(model, tokens, BatchPlan.ofRows(slot, BatchPlan.BASE));
                float[] byToken =
                        djlCall(model, tokens, BatchPlan.ofRows(slot, slot, slot, -1, -1, -1));
                assertClose(byToken, byRow, "a slot for each token");
                float[] base = djlCall(model, tokens, null);
                int half = base.length / 2;
                assertTrue(
                        TestModels.maxDifference(
                                        Arrays.copyOf(byRow, half), Arrays.copyOf(base, half))
                                > 1e-2);
                assertClose(
                        Arrays.copyOfRange(byRow, half, 2 * half),
                        Arrays.copyOfRange(base, half, 2 * half),
                        "the base row");
            }
            assertThrows(
                    IllegalArgumentException.class,
                    () -> djlCall(model, tokens, BatchPlan.uniform(BatchPlan.BASE, 4)));
        }
    }

    private static float[] djlCall(TestModels.Loaded model, int[] tokens, BatchPlan plan) {
        PairList<String, Object> params = new PairList<>();
        if (plan != null) {
            params.add(LoraLinear.PLAN, plan);
        }
        try (NDManager manager = model.manager().newSubManager()) {
            NDArray ids = manager.create(tokens).reshape(2, tokens.length / 2);
            return model.block()
                    .forward(new ParameterStore(manager, false), new NDList(ids), false, params)
                    .singletonOrThrow()
                    .toFloatArray();
        }
    }

    @Test(dataProvider = "backends")
    public void lastPositionsAreThoseOfAllPositions(String backend) {
        try (TestModels.Loaded model = TestModels.load("qwen2", backend);
                KvCache cache = model.block().newKvCache(model.manager());
                NDArray logits =
                        model.block()
                                .forward(
                                        model.manager(),
                                        ForwardStep.builder()
                                                .addSequence(cache, BatchPlan.BASE, 7, 8, 9)
                                                .build())) {
            int vocab = model.block().getConfig().vocabSize();
            assertEquals(logits.getShape(), new Shape(1, vocab));
            float[] whole = whole(model, BatchPlan.BASE, 7, 8, 9);
            assertClose(logits.toFloatArray(), last(whole, vocab), "last position");
        }
    }

    @Test(dataProvider = "backends")
    public void cacheGrowsByDoublingAndFreesItsMemory(String backend) {
        try (TestModels.Loaded model = TestModels.load("llama3", backend)) {
            LlamaConfig config = model.block().getConfig();
            long row =
                    2L
                            * config.numHiddenLayers()
                            * config.numKeyValueHeads()
                            * config.headDim()
                            * Float.BYTES;
            int arrays = model.manager().getManagedArrays().size();
            KvCache cache = model.block().newKvCache(model.manager());
            assertEquals(cache.bytes(), 0);
            extend(model, cache, 5);
            assertEquals(cache.bytes(), 16 * row);
            extend(model, cache, 28);
            assertEquals(cache.bytes(), 48 * row);
            extend(model, cache, config.maxPositionEmbeddings() - 33);
            assertEquals(cache.bytes(), config.maxPositionEmbeddings() * row);
            cache.truncate(17);
            assertEquals(cache.bytes(), 32 * row);
            assertEquals(cache.length(), 17);
            cache.close();
            cache.close();
            // the two tables of rotary positions stay with the model
            assertEquals(model.manager().getManagedArrays().size(), arrays + 2);
            assertEquals(cache.bytes(), 0);
        }
    }

    private static void extend(TestModels.Loaded model, KvCache cache, int count) {
        int[] tokens = TestModels.tokens(model.block().getConfig(), count, 5);
        model.logits(ForwardStep.builder().addSequence(cache, BatchPlan.BASE, tokens).build());
    }

    @Test(dataProvider = "models")
    public void stepsLeaveNothingBehind(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend);
                KvCache first = model.block().newKvCache(model.manager());
                KvCache second = model.block().newKvCache(model.manager())) {
            extend(model, first, 9);
            extend(model, second, 4);
            int arrays = model.manager().getManagedArrays().size();
            try (NDManager results = model.manager().newSubManager()) {
                for (int i = 1; i <= 3; ++i) {
                    model.block()
                            .forward(
                                    results,
                                    ForwardStep.builder()
                                            .addSequence(first, BatchPlan.BASE, i, 2, 3)
                                            .addSequence(second, BatchPlan.BASE, 4)
                                            .build());
                    assertEquals(results.getManagedArrays().size(), i);
                }
            }
            assertEquals(model.manager().getManagedArrays().size(), arrays);
            try (NDManager manager = model.manager().newSubManager()) {
                NDArray ids = manager.ones(new Shape(2, 3), DataType.INT64);
                model.block().forward(new ParameterStore(manager, false), new NDList(ids), false);
                assertEquals(manager.getManagedArrays().size(), 2, "the ids and the logits");
            }
            assertEquals(model.manager().getManagedArrays().size(), arrays);
        }
    }

    @Test
    public void bfloat16StepsLeaveNothingBehind() {
        try (TestModels.Loaded model =
                        TestModels.load(TestModels.model("mistral"), "cpu", ElementType.BFLOAT16);
                KvCache cache = model.block().newKvCache(model.manager())) {
            extend(model, cache, 20);
            int arrays = model.manager().getManagedArrays().size();
            extend(model, cache, 3);
            extend(model, cache, 1);
            assertEquals(model.manager().getManagedArrays().size(), arrays);
        }
    }

    @Test
    public void wrongStepsAreRefusedBeforeAnythingRuns() {
        try (TestModels.Loaded model = TestModels.load("llama2", "pytorch");
                TestModels.Loaded other = TestModels.load("llama2", "pytorch");
                KvCache foreign = other.block().newKvCache(other.manager())) {
            KvCache cache = model.block().newKvCache(model.manager());
            extend(model, cache, 2);
            assertMessage(
                    () -> step(model, cache, 3, 96),
                    "Sequence 0 has token id 96; expected 0 to 95");
            assertMessage(
                    () -> step(model, cache, -1), "Sequence 0 has token id -1; expected 0 to 95");
            assertMessage(
                    () -> extend(model, cache, 127),
                    "Sequence 0 would have 129 tokens; expected at most max_position_embeddings,"
                            + " which is 128");
            assertMessage(
                    () -> step(model, cache), "Sequence 0 has no tokens; expected at least one");
            assertMessage(
                    () -> ForwardStep.builder().build(),
                    "The step has no sequences; expected at least one");
            assertThrows(IllegalArgumentException.class, () -> step(model, foreign, 1));
            assertThrows(
                    IllegalArgumentException.class,
                    () ->
                            ForwardStep.builder()
                                    .addSequence(cache, BatchPlan.BASE, 1)
                                    .addSequence(cache, BatchPlan.BASE, 1));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> ForwardStep.builder().addSequence(cache, -2, 1));
            assertEquals(cache.length(), 2);
            extend(model, cache, 126);
            assertEquals(cache.length(), 128);
            cache.close();
            assertThrows(IllegalStateException.class, () -> step(model, cache, 1));
        }
    }

    @Test
    public void djlCallRefusesWrongIds() {
        try (TestModels.Loaded model = TestModels.load("llama2", "pytorch");
                NDManager manager = model.manager().newSubManager()) {
            ParameterStore store = new ParameterStore(manager, false);
            assertMessage(
                    () -> model.block().forward(store, new NDList(manager.create(1L)), false),
                    "Token ids have shape (); expected [batch, sequence], not empty");
            assertMessage(
                    () ->
                            model.block()
                                    .forward(
                                            store,
                                            new NDList(manager.ones(new Shape(1, 2))),
                                            false),
                    "Token ids are of type float32; expected int64 or int32");
            long[] beyond = {1L << 32};
            assertMessage(
                    () ->
                            model.block()
                                    .forward(
                                            store,
                                            new NDList(manager.create(beyond, new Shape(1, 1))),
                                            false),
                    "Sequence 0 has token id -1; expected 0 to 95");
        }
    }

    private static void step(TestModels.Loaded model, KvCache cache, int... tokens) {
        model.logits(ForwardStep.builder().addSequence(cache, BatchPlan.BASE, tokens).build());
    }

    private static void assertMessage(ThrowingRunnable call, String message) {
        assertEquals(expectThrows(LoraConfigurationException.class, call).getMessage(), message);
    }

    private static float[] whole(TestModels.Loaded model, int slot, int... tokens) {
        try (KvCache cache = model.block().newKvCache(model.manager())) {
            return model.logits(
                    ForwardStep.builder()
                            .optAllPositions(true)
                            .addSequence(cache, slot, tokens)
                            .build());
        }
    }

    private static float[] last(float[] logits, int vocabSize) {
        return Arrays.copyOfRange(logits, logits.length - vocabSize, logits.length);
    }

    private static void assertClose(float[] actual, float[] expected, String what) {
        double difference = TestModels.maxDifference(actual, expected);
        assertTrue(difference <= TOLERANCE, what + ": largest difference " + difference);
    }
}
