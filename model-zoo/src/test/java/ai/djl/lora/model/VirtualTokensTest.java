/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.KvPages;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.testng.Assert.ThrowingRunnable;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/**
 * Virtual tokens that are a model's own: a prompt of real tokens' embeddings, and a prefix of the
 * keys and values that real tokens left in a cache. The model must answer behind them as it does
 * behind the real tokens, whatever its windows, norms and frequencies.
 */
public class VirtualTokensTest {

    /** The same float32 sums in another order; logits are about 1. */
    private static final double TOLERANCE = 1e-5;

    /**
     * More than mistral's window of 8, so that some tokens see no virtual one and some see a few.
     */
    private static final int LENGTH = 12;

    private static final int VIRTUAL = 5;

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

    @Test(dataProvider = "models")
    public void virtualTokensAreAsGoodAsRealOnes(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            int[] all = TestModels.tokens(model.block().getConfig(), VIRTUAL + LENGTH, 21);
            int[] tokens = Arrays.copyOfRange(all, VIRTUAL, all.length);
            int prompt = putPrompt(model, Arrays.copyOf(all, VIRTUAL));
            int prefix = putPrefix(model, Arrays.copyOf(all, VIRTUAL));
            int vocab = model.block().getConfig().vocabSize();
            float[] whole = prefill(model, BatchPlan.BASE, all);
            float[] expected = Arrays.copyOfRange(whole, VIRTUAL * vocab, whole.length);
            float[] base = prefill(model, BatchPlan.BASE, tokens);
            assertTrue(TestModels.maxDifference(base, expected) > 1e-2, "they change nothing");

            assertClose(prefill(model, prompt, tokens), expected, "prompt");
            assertClose(prefill(model, prefix, tokens), expected, "prefix");
            for (int first : new int[] {1, 3, 9}) {
                assertClose(inParts(model, prompt, tokens, first), expected, "prompt, decoding");
                assertClose(inParts(model, prefix, tokens, first), expected, "prefix, decoding");
            }
            float[] mixed = djlCall(model, BatchPlan.ofRows(prefix, -1, prompt, -1), tokens);
            assertClose(
                    mixed, concat(List.of(expected, base, expected, base)), "rows of one batch");
        }
    }

    /* The last position alone, of sequences that start and of others that go on. */
    @Test(dataProvider = "models")
    public void lastPositionsAreThoseOfTheRealTokens(String backend, String name) {
        try (TestModels.Loaded model = TestModels.load(name, backend)) {
            int[] all = TestModels.tokens(model.block().getConfig(), VIRTUAL + LENGTH, 22);
            int[] tokens = Arrays.copyOfRange(all, VIRTUAL, all.length);
            int prompt = putPrompt(model, Arrays.copyOf(all, VIRTUAL));
            int prefix = putPrefix(model, Arrays.copyOf(all, VIRTUAL));
            int vocab = model.block().getConfig().vocabSize();
            float[] whole = prefill(model, BatchPlan.BASE, all);
            float[] last = Arrays.copyOfRange(whole, whole.length - vocab, whole.length);
            try (KvCache first = model.block().newKvCache(model.manager());
                    KvCache second = model.block().newKvCache(model.manager());
                    KvCache third = model.block().newKvCache(model.manager())) {
                int[] head = Arrays.copyOf(tokens, LENGTH - 1);
                model.logits(ForwardStep.builder().addSequence(first, prefix, head).build());
                float[] logits =
                        model.logits(
                                ForwardStep.builder()
                                        .addSequence(first, prefix, tokens[LENGTH - 1])
                                        .addSequence(second, prompt, tokens)
                                        .addSequence(third, prefix, tokens)
                                        .build());
                assertClose(logits, concat(List.of(last, last, last)), "last positions");
                for (KvCache cache : List.of(first, second, third)) {
                    assertEquals(cache.length(), VIRTUAL + LENGTH);
                }
            }
        }
    }

    @Test
    public void stepsThatCannotBeginAreRefused() {
        try (TestModels.Loaded model = TestModels.load("llama2", "pytorch");
                KvCache cache = model.block().newKvCache(model.manager());
                KvCache empty = model.block().newKvCache(model.manager())) {
            int[] tokens = TestModels.tokens(model.block().getConfig(), 128, 23);
            int prompt = putPrompt(model, Arrays.copyOf(tokens, VIRTUAL));
            int prefix = putPrefix(model, Arrays.copyOf(tokens, VIRTUAL));
            int invoked = put(model, (extras, manager) -> extras.optInvocationTokens(7, 11));
            step(model, cache, BatchPlan.BASE, 1, 2, 3);
            for (int slot : new int[] {prompt, prefix}) {
                assertMessage(
                        () -> step(model, cache, slot, 1),
                        "Sequence 0 has 3 tokens already; the adapter in slot "
                                + slot
                                + " has virtual tokens, which come before a sequence's first");
                assertMessage(
                        () -> step(model, empty, slot, Arrays.copyOf(tokens, 124)),
                        "Sequence 0 would have 129 tokens, 5 of them virtual; expected at most"
                                + " max_position_embeddings, which is 128");
                assertMessage(
                        () -> djlCall(model, BatchPlan.ofRows(slot, slot, -1), 1, 2, 3),
                        "Sequence 0 uses the adapter in slot "
                                + slot
                                + " for some of its tokens; it has virtual or invocation tokens"
                                + " and takes whole sequences");
            }
            assertMessage(
                    () -> step(model, empty, invoked, 11, 7),
                    "Sequence 0 lacks the invocation tokens [7, 11] from which on the adapter in"
                            + " slot "
                            + invoked
                            + " acts");
            assertEquals(empty.length(), 0);
            assertEquals(cache.length(), 3);
            // as many as there are positions for, and from then on one by one
            step(model, empty, prefix, Arrays.copyOf(tokens, 122));
            step(model, empty, prefix, 1);
            assertEquals(empty.length(), 128);
            assertMessage(
                    () -> step(model, empty, prefix, 1),
                    "Sequence 0 would have 129 tokens; expected at most max_position_embeddings,"
                            + " which is 128");
            // the base's tokens are there already, and the invocation comes now
            step(model, cache, invoked, 5, 7, 11);
            step(model, cache, invoked, 4);
            assertEquals(cache.length(), 7);
        }
    }

    /* A slot's next adapter is another one, with virtual tokens of its own. */
    @Test
    public void cachesKnowTheirAdapterNotItsSlot() {
        try (TestModels.Loaded model = TestModels.load("llama2", "pytorch");
                KvCache cache = model.block().newKvCache(model.manager())) {
            LoraContext context = model.block().getLoraContext();
            int slot = putPrompt(model, 1, 2);
            step(model, cache, slot, 3);
            context.removeExtras(slot);
            NDManager manager = model.manager().newSubManager();
            context.putExtras(
                    slot,
                    AdapterExtras.builder(manager)
                            .optPrompt(manager.ones(new Shape(2, 64)))
                            .build());
            expectThrows(LoraConfigurationException.class, () -> step(model, cache, slot, 4));
        }
    }

    @DataProvider
    public Object[][] backendsAndTypes() {
        return new Object[][] {
            {"cpu", ElementType.FLOAT32},
            {"cpu", ElementType.BFLOAT16},
            {"pytorch", ElementType.FLOAT32},
        };
    }

    @Test(dataProvider = "backendsAndTypes")
    public void stepsWithVirtualTokensLeaveNothingBehind(String backend, ElementType type) {
        Path folder = TestModels.model("qwen3");
        try (TestModels.Loaded model = TestModels.load(folder, backend, type);
                KvCache other = model.block().newKvCache(model.manager())) {
            step(model, other, BatchPlan.BASE, 1, 2, 3);
            int[] slots = {putPrompt(model, 1, 2), putPrefix(model, 3, 4)};
            int arrays = model.manager().getManagedArrays().size();
            for (int slot : slots) {
                try (KvCache one = model.block().newKvCache(model.manager());
                        KvCache two = model.block().newKvCache(model.manager())) {
                    model.logits(
                            ForwardStep.builder()
                                    .addSequence(one, slot, 1, 2)
                                    .addSequence(two, BatchPlan.BASE, 1)
                                    .addSequence(other, BatchPlan.BASE, 1)
                                    .build());
                    step(model, one, slot, 1);
                }
                assertEquals(model.manager().getManagedArrays().size(), arrays);
            }
        }
    }

    private static void assertMessage(ThrowingRunnable call, String message) {
        assertEquals(expectThrows(LoraConfigurationException.class, call).getMessage(), message);
    }

    private static void assertClose(float[] actual, float[] expected, String what) {
        double difference = TestModels.maxDifference(actual, expected);
        assertTrue(difference <= TOLERANCE, what + ": largest difference " + difference);
    }

    /** Makes an adapter whose virtual tokens are the embeddings of real ones. */
    private static int putPrompt(TestModels.Loaded model, int... tokens) {
        LoraContext context = model.block().getLoraContext();
        return put(
                model,
                (extras, manager) -> {
                    NDArray ids = TokenEmbedding.ids(manager, tokens);
                    extras.optPrompt(context.getOps().embedding(context.getEmbeddingTable(), ids));
                });
    }

    /** Makes an adapter whose prefix is what real tokens leave in a cache. */
    private static int putPrefix(TestModels.Loaded model, int... tokens) {
        return put(
                model,
                (extras, manager) -> {
                    try (KvCache cache = model.block().newKvCache(model.manager())) {
                        step(model, cache, BatchPlan.BASE, tokens);
                        List<AdapterExtras.KeysValues> layers = new ArrayList<>();
                        int count = model.block().getConfig().numHiddenLayers();
                        for (int layer = 0; layer < count; ++layer) {
                            layers.add(read(cache, layer, tokens.length, manager));
                        }
                        extras.optPrefix(layers);
                    }
                });
    }

    /** Reads [tokens, heads, dim] of a cache that has one block. */
    private static AdapterExtras.KeysValues read(
            KvCache cache, int layer, int tokens, NDManager manager) {
        KvPages pages = cache.pool().pages(layer);
        NDArray keys = pages.keys().get(cache.block(0));
        NDArray values = pages.values().get(cache.block(0));
        keys.attach(manager);
        values.attach(manager);
        keys = keys.transpose(2, 0, 1);
        values = values.transpose(1, 0, 2);
        NDIndex written = new NDIndex().addSliceDim(0, tokens);
        return new AdapterExtras.KeysValues(
                copy(keys.get(written), manager), copy(values.get(written), manager));
    }

    /** Returns a copy whose rows lie behind one another. */
    private static NDArray copy(NDArray array, NDManager manager) {
        NDArray copy = array.reshape(-1).duplicate().reshape(array.getShape());
        copy.attach(manager);
        return copy;
    }

    private static int put(
            TestModels.Loaded model, BiConsumer<AdapterExtras.Builder, NDManager> change) {
        LoraContext context = model.block().getLoraContext();
        PackedAdapter nothing =
                new PackedAdapter(
                        context.getType(),
                        new byte[0],
                        new PackedAdapter.Entry[context.getModules().size()]);
        int slot = context.getTable().put(nothing);
        NDManager manager = context.getManager().newSubManager();
        AdapterExtras.Builder extras = AdapterExtras.builder(manager);
        change.accept(extras, manager);
        context.putExtras(slot, extras.build());
        return slot;
    }

    private static void step(TestModels.Loaded model, KvCache cache, int slot, int... tokens) {
        model.logits(ForwardStep.builder().addSequence(cache, slot, tokens).build());
    }

    private static float[] prefill(TestModels.Loaded model, int slot, int... tokens) {
        return inParts(model, slot, tokens, tokens.length);
    }

    /** Runs the first tokens in one step, and then the others one by one. */
    private static float[] inParts(TestModels.Loaded model, int slot, int[] tokens, int first) {
        try (KvCache cache = model.block().newKvCache(model.manager())) {
            List<float[]> parts = new ArrayList<>();
            int from = 0;
            while (from < tokens.length) {
                int to = from == 0 ? first : from + 1;
                parts.add(
                        model.logits(
                                ForwardStep.builder()
                                        .optAllPositions(true)
                                        .addSequence(
                                                cache, slot, Arrays.copyOfRange(tokens, from, to))
                                        .build()));
                from = to;
            }
            return concat(parts);
        }
    }

    /**
     * Runs the same tokens as each row of a plan, or in rows of one length for a plan of tokens.
     */
    private static float[] djlCall(TestModels.Loaded model, BatchPlan plan, int... tokens) {
        PairList<String, Object> params = new PairList<>();
        params.add(LoraLinear.PLAN, plan);
        int rows = plan.rows() == tokens.length ? 1 : plan.rows();
        try (NDManager manager = model.manager().newSubManager()) {
            NDArray ids = manager.create(tokens).reshape(1, tokens.length).repeat(0, rows);
            return model.block()
                    .forward(new ParameterStore(manager, false), new NDList(ids), false, params)
                    .singletonOrThrow()
                    .toFloatArray();
        }
    }

    private static float[] concat(List<float[]> parts) {
        float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
