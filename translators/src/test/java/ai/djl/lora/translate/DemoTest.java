/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.op.BackendStatus;
import ai.djl.lora.op.LoraBackends;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.testng.Assert;
import org.testng.Reporter;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Examines the demo model, whose every adapter was taught one task on words. */
public class DemoTest {

    private static final Path DEMO = Path.of("../examples/demo");
    private static final Path HELD_OUT = Path.of("../src/test/resources/demo/held-out.jsonl");

    /** What the adapters reach in training; what is lost beyond it was lost here. */
    private static final double ENOUGH = 0.95;

    private static final SamplingParameters GREEDY = SamplingParameters.greedy(16);

    @DataProvider
    public Object[][] backends() {
        return new Object[][] {
            {"cpu", "float32", 1000}, {"cpu", "bfloat16", 1000}, {"pytorch", "float32", 100}
        };
    }

    @Test(dataProvider = "backends")
    public void testOneMixedBatchAnswersEveryTask(String backend, String dtype, int atMost)
            throws IOException, ModelException, TranslateException {
        requireAvailable(backend);
        List<TextRequest> requests = new ArrayList<>();
        List<String> expected = new ArrayList<>();
        List<String> lines = new ArrayList<>(Files.readAllLines(HELD_OUT));
        Collections.shuffle(lines, new Random(1));
        for (String line : lines.subList(0, Math.min(atMost, lines.size()))) {
            JsonObject object = JsonParser.parseString(line).getAsJsonObject();
            requests.add(
                    new TextRequest(
                            object.get("prompt").getAsString(),
                            object.get("adapter").getAsString(),
                            GREEDY));
            expected.add(object.get("expected").getAsString());
        }
        Criteria<TextRequest, TextResult> criteria =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(DEMO.resolve("base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("backend", backend)
                        .optArgument("dtype", dtype)
                        .build();
        try (ZooModel<TextRequest, TextResult> model = criteria.loadModel();
                Predictor<TextRequest, TextResult> predictor = model.newPredictor()) {
            AdaptedBlock block = (AdaptedBlock) model.getBlock();
            for (TextRequest request : requests) {
                String adapter = request.adapter();
                if (!adapter.isEmpty() && !block.getAdapters().names().contains(adapter)) {
                    block.getAdapters().register(adapter, DEMO.resolve(adapter));
                }
            }
            Assert.assertEquals(block.getAdapters().names().size(), 7);
            List<TextResult> results = predictor.batchPredict(requests);
            Map<String, int[]> rightOfAll = new TreeMap<>();
            for (int i = 0; i < results.size(); ++i) {
                TextResult result = results.get(i);
                Assert.assertEquals(result.adapter(), requests.get(i).adapter());
                int[] count = rightOfAll.computeIfAbsent(result.adapter(), name -> new int[2]);
                ++count[1];
                if (result.text().equals(expected.get(i))
                        && result.finishReason() == FinishReason.STOP) {
                    ++count[0];
                }
            }
            for (Map.Entry<String, int[]> entry : rightOfAll.entrySet()) {
                int right = entry.getValue()[0];
                int all = entry.getValue()[1];
                String message =
                        backend
                                + " "
                                + dtype
                                + ", adapter \""
                                + entry.getKey()
                                + "\": "
                                + right
                                + " of "
                                + all;
                Reporter.log(message, true);
                Assert.assertTrue(right >= Math.floor(ENOUGH * all), message);
            }
            Assert.assertEquals(rightOfAll.size(), 8);
        }
    }

    @Test
    public void testAStopStringEndsTheText()
            throws IOException, ModelException, TranslateException {
        Criteria<TextRequest, TextResult> criteria =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(DEMO.resolve("base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .build();
        SamplingParameters stopped = GREEDY.toBuilder().stopStrings(List.of("LL", "Q")).build();
        try (ZooModel<TextRequest, TextResult> model = criteria.loadModel();
                Predictor<TextRequest, TextResult> predictor = model.newPredictor()) {
            ((AdaptedBlock) model.getBlock())
                    .getAdapters()
                    .register("capitals", DEMO.resolve("upper"));
            List<TextResult> results =
                    predictor.batchPredict(
                            List.of(
                                    new TextRequest("hello=", "capitals", stopped),
                                    new TextRequest("water=", "capitals", stopped),
                                    new TextRequest("hello=", "capitals", GREEDY)));
            Assert.assertEquals(
                    results.stream().map(TextResult::text).toList(),
                    List.of("HE", "WATER", "HELLO"));
            Assert.assertEquals(results.get(0).finishReason(), FinishReason.STOP);
        }
    }

    private static void requireAvailable(String backend) {
        if (!Files.exists(HELD_OUT)) {
            throw new SkipException(HELD_OUT + " is not there");
        }
        for (BackendStatus status : LoraBackends.list()) {
            if (status.name().equals(backend) && !status.available()) {
                throw new SkipException("backend " + backend + ": " + status.reason());
            }
        }
    }
}
