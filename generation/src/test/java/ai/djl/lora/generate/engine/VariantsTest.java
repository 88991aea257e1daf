/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.safetensors.SafetensorsFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Generates with adapters of many variants in one batch. */
public class VariantsTest {

    private static final SamplingParameters GREEDY = SamplingParameters.greedy(10);

    /** The names of golden files, each of which is an adapter's name too. */
    private static final List<String> VARIANTS =
            List.of(
                    "lora",
                    "rslora",
                    "dora-bias",
                    "adalora-resized",
                    "ia3-all",
                    "vera",
                    "loha",
                    "lokr",
                    "prefix",
                    "prompt",
                    "ptuning",
                    "alora",
                    "bias-all",
                    "lora-embedding",
                    "lora-head",
                    "modules-to-save-both",
                    "modules-to-save-norm",
                    "trainable-tokens");

    @DataProvider
    public Object[][] models() {
        return new Object[][] {
            {"cpu", "llama"}, {"cpu", "qwen2"}, {"pytorch", "llama"}, {"pytorch", "qwen2"},
        };
    }

    @Test(dataProvider = "models")
    public void testAMixedBatchGivesWhatEachRowGivesAlone(String backend, String name)
            throws IOException {
        try (TestModel model = load(name, backend)) {
            BatchRunner generator = new BatchRunner(model.block());
            List<GenerationRequest> requests = new ArrayList<>();
            for (String variant : VARIANTS) {
                for (int row = 0; row < 2; ++row) {
                    int[] prompt = prompt(name, variant, row);
                    requests.add(new GenerationRequest(prompt, variant, GREEDY));
                    requests.add(
                            new GenerationRequest(
                                    prompt, variant, SamplingParameters.of(0.9, row, 10)));
                }
                requests.add(new GenerationRequest(prompt(name, variant, 0), "", GREEDY));
            }
            Collections.shuffle(requests, new Random(4));
            List<List<GenerationResult>> batches =
                    List.of(
                            generator.generate(requests),
                            // prompts in many steps, and rows that wait for a place
                            new BatchRunner(model.block(), 40, 7).generate(requests));
            int parted = 0;
            for (int i = 0; i < requests.size(); ++i) {
                GenerationRequest request = requests.get(i);
                int[] alone = generator.generate(List.of(request)).get(0).tokens();
                for (List<GenerationResult> results : batches) {
                    int[] mixed = results.get(i).tokens();
                    parted += MixedBatchTest.partAtANearTie(model, request, mixed, alone) ? 1 : 0;
                }
                if (request.sampling().temperature() == 0) {
                    // whole forwards, in which nothing comes out of a cache
                    int[] whole = MixedBatchTest.oracle(model, request);
                    MixedBatchTest.partAtANearTie(model, request, alone, whole);
                }
            }
            Assert.assertTrue(parted <= 2, parted + " rows parted at near ties");
        }
    }

    @Test(dataProvider = "models")
    public void testAPromptWithoutTheInvocationIsRefused(String backend, String name)
            throws IOException {
        try (TestModel model = load(name, backend)) {
            BatchRunner generator = new BatchRunner(model.block());
            int[] prompt = prompt(name, "alora", 0);
            int[] without = Arrays.stream(prompt).filter(token -> token != 11).toArray();
            List<GenerationRequest> requests = new ArrayList<>();
            requests.add(new GenerationRequest(prompt, "alora", GREEDY));
            requests.add(new GenerationRequest(without, "alora", GREEDY));
            requests.add(new GenerationRequest(without, "lora", GREEDY));
            int before = model.managed();
            GenerationRequestException e =
                    Assert.expectThrows(
                            GenerationRequestException.class,
                            () ->
                                    generator.generate(
                                            requests, statistics -> Assert.fail("a step ran")));
            Assert.assertEquals(e.getIndex(), 1);
            Assert.assertEquals(
                    e.getReason(),
                    "promptTokens lacks the invocation tokens [7, 11, 7] from which on adapter"
                            + " \"alora\" acts; a prompt must hold them in this order");
            Assert.assertEquals(model.managed(), before);
            requests.remove(1);
            Assert.assertEquals(generator.generate(requests).size(), 2);
            AdapterStore store = model.block().getAdapters();
            store.names().forEach(store::unregister);
            Assert.assertEquals(model.block().getLoraContext().getTable().residentBytes(), 0);
        }
    }

    @Test(dataProvider = "models")
    public void testVirtualTokensTakePositions(String backend, String name) throws IOException {
        try (TestModel model = load(name, backend)) {
            BatchRunner generator = new BatchRunner(model.block());
            int positions = model.positions();
            // a seed whose draws do not meet an end-of-text token before the limits
            SamplingParameters sampling = SamplingParameters.of(3, 0, 1, 5, Integer.MAX_VALUE);
            for (String variant : List.of("prefix", "prompt")) {
                List<GenerationRequest> requests = new ArrayList<>();
                for (int room : new int[] {1, 4}) {
                    int[] prompt = new int[positions - 5 - room];
                    Arrays.fill(prompt, 3);
                    requests.add(new GenerationRequest(prompt, variant, sampling));
                }
                List<GenerationResult> results = generator.generate(requests);
                Assert.assertEquals(results.get(0).tokens().length, 1);
                Assert.assertEquals(results.get(1).tokens().length, 4);
                GenerationRequest tooLong =
                        new GenerationRequest(new int[positions - 5], variant, sampling);
                GenerationRequestException e =
                        Assert.expectThrows(
                                GenerationRequestException.class,
                                () -> generator.generate(List.of(requests.get(0), tooLong)));
                Assert.assertEquals(e.getIndex(), 1);
                Assert.assertEquals(
                        e.getReason(),
                        String.format(
                                "promptTokens has %d tokens; the model has %d positions, adapter"
                                        + " \"%s\" takes 5 and one new token needs one, so a prompt"
                                        + " has at most %d",
                                positions - 5, positions, variant, positions - 6));
            }
        }
    }

    @Test(dataProvider = "models")
    public void testNothingLeaks(String backend, String name) throws IOException {
        try (TestModel model = load(name, backend)) {
            BatchRunner generator = new BatchRunner(model.block());
            List<GenerationRequest> requests =
                    VARIANTS.stream()
                            .map(v -> new GenerationRequest(prompt(name, v, 0), v, GREEDY))
                            .toList();
            // the first steps leave the model's tables of positions behind
            generator.generate(requests);
            int before = model.managed();
            generator.generate(requests);
            Assert.assertEquals(model.managed(), before);
        }
    }

    private static TestModel load(String name, String backend) throws IOException {
        Path folder = folder(name);
        TestModel model = new TestModel(folder.resolve("base"), backend);
        AdapterStore store = model.block().getAdapters();
        for (String variant : VARIANTS) {
            store.register(variant, folder.resolve("adapters").resolve(variant));
        }
        return model;
    }

    private static Path folder(String name) {
        return TestModel.GOLDENS.resolve("variants").resolve(name);
    }

    /** Returns a prompt of a golden file, all of which have two of one length. */
    private static int[] prompt(String name, String variant, int row) {
        Path golden = folder(name).resolve(variant + ".safetensors");
        try (SafetensorsFile file = SafetensorsFile.open(golden)) {
            LongBuffer ids =
                    ByteBuffer.wrap(file.read(file.tensor("input_ids")))
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .asLongBuffer();
            int[] prompt = new int[ids.remaining() / 2];
            for (int i = 0; i < prompt.length; ++i) {
                prompt[i] = Math.toIntExact(ids.get(row * prompt.length + i));
            }
            return prompt;
        }
    }
}
