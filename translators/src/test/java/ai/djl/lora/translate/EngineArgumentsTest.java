/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Sets the options of a model's engine by arguments. */
public class EngineArgumentsTest {

    private static final TextGenerationTranslatorFactory FACTORY =
            new TextGenerationTranslatorFactory();

    private static ZooModel<TextRequest, TextResult> load(Map<String, Object> arguments)
            throws IOException, ModelException {
        Map<String, Object> all = new HashMap<>(arguments);
        return Criteria.builder()
                .setTypes(TextRequest.class, TextResult.class)
                .optModelPath(DemoModel.FOLDER.resolve("base"))
                .optTranslatorFactory(FACTORY)
                .optArguments(all)
                .build()
                .loadModel();
    }

    @Test
    public void testPredictorsShareTheEngineThatTheArgumentsDescribe()
            throws IOException, ModelException, TranslateException {
        Map<String, Object> arguments =
                Map.of("max_rolling_batch_size", 2, "max_queue", "7", "prefix_caching", "false");
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxSequences(2)
                        .optMaxQueue(7)
                        .optPrefixCaching(false)
                        .build();
        try (ZooModel<TextRequest, TextResult> model = load(arguments);
                Predictor<TextRequest, TextResult> one = model.newPredictor();
                Predictor<String, float[]> another =
                        model.newPredictor(
                                new EmbeddingTranslatorFactory()
                                        .newInstance(
                                                String.class, float[].class, model, Map.of()))) {
            CausalLanguageModel block = (CausalLanguageModel) model.getBlock();
            GenerationEngine engine = GenerationEngine.of(block, options);
            Assert.assertSame(GenerationEngine.of(block), engine);
            TextRequest request = new TextRequest("a=", "", SamplingParameters.greedy(2));
            Assert.assertEquals(one.batchPredict(List.of(request, request, request)).size(), 3);
            long before = engine.statistics().promptTokens();
            Assert.assertTrue(before > 0);
            Assert.assertEquals(another.predict("hello").length, 256);
            Assert.assertTrue(engine.statistics().promptTokens() > before);
            // the same arguments again are no other engine, and different ones are refused
            Assert.assertNotNull(FACTORY.newInstance(String.class, String.class, model, arguments));
            TranslateException e =
                    Assert.expectThrows(
                            TranslateException.class,
                            () ->
                                    FACTORY.newInstance(
                                            String.class,
                                            String.class,
                                            model,
                                            Map.of("max_sequences", 3)));
            Assert.assertEquals(
                    e.getMessage(),
                    "The model's engine has maxSequences 2, and not 3; all users of a model share"
                            + " one engine");
        }
    }

    @Test
    public void testAllArguments() throws IOException, ModelException {
        Map<String, Object> arguments =
                Map.ofEntries(
                        Map.entry("max_sequences", "5"),
                        Map.entry("max_rolling_batch_size", 5),
                        Map.entry("max_rolling_batch_prefill_tokens", 99),
                        Map.entry("max_adapters_per_step", 3),
                        Map.entry("max_queue", 8),
                        Map.entry("adapter_lookahead", 2),
                        Map.entry("kv_bytes", 1L << 20),
                        Map.entry("scoring_bytes", 4096),
                        Map.entry("enable_prefix_caching", false),
                        Map.entry("speculation", "FALSE"),
                        Map.entry("speculation_sequences", 4),
                        Map.entry("max_wait_seconds", 9),
                        Map.entry("adapter_timeout_seconds", 10));
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxSequences(5)
                        .optMaxTokensPerStep(99)
                        .optMaxAdaptersPerStep(3)
                        .optMaxQueue(8)
                        .optAdapterLookahead(2)
                        .optKvBytes(1L << 20)
                        .optScoringBytes(4096)
                        .optPrefixCaching(false)
                        .optSpeculation(false)
                        .optSpeculationSequences(4)
                        .optMaxWait(Duration.ofSeconds(9))
                        .optAdapterTimeout(Duration.ofSeconds(10))
                        .build();
        try (ZooModel<TextRequest, TextResult> model = load(arguments)) {
            // refuses what differs
            Assert.assertNotNull(
                    GenerationEngine.of((CausalLanguageModel) model.getBlock(), options));
        }
    }

    @Test
    public void testArgumentsThatAreWrong() throws IOException, ModelException {
        Map<Map<String, ?>, String> cases =
                Map.of(
                        Map.of("max_sequences", 0),
                        "the argument max_sequences is 0; a whole number from 1 to 2147483647 is"
                                + " needed",
                        Map.of("max_rolling_batch_size", "many"),
                        "the argument max_rolling_batch_size is many; a whole number from 1 to"
                                + " 2147483647 is needed",
                        Map.of("kv_bytes", 1.5),
                        "the argument kv_bytes is 1.5; a whole number from 1 to"
                                + " 9223372036854775807 is needed",
                        Map.of("kv_bytes", 10),
                        "kvBytes is 10; a block of this model takes ",
                        Map.of("speculation", "on"),
                        "the argument speculation is on; true or false is needed",
                        Map.of("max_wait_seconds", "1e9"),
                        "the argument max_wait_seconds is 1e9; a whole number from 1 to 31536000"
                                + " is needed",
                        Map.of("max_sequences", 1, "max_rolling_batch_size", 2),
                        "the arguments max_sequences and max_rolling_batch_size are 1 and 2; they"
                                + " mean the same, give one");
        try (ZooModel<TextRequest, TextResult> model = load(Map.of())) {
            cases.forEach(
                    (arguments, message) -> {
                        TranslateException e =
                                Assert.expectThrows(
                                        TranslateException.class,
                                        () ->
                                                FACTORY.newInstance(
                                                        String.class,
                                                        String.class,
                                                        model,
                                                        arguments));
                        Assert.assertTrue(e.getMessage().startsWith(message), e.getMessage());
                    });
        }
    }
}
