/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.translate.NoopTranslator;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** An answer that the base model gives for an adapter that cannot be read says so everywhere. */
public class SubstitutionTest {

    private DemoServer demo;
    private Path folder;

    @BeforeClass
    public void start() throws Exception {
        folder = Files.createTempDirectory("djl-lora-substitution-");
        Path residency = folder.resolve("residency.yaml");
        Files.writeString(
                residency,
                """
                preset: development
                device: {adapters: 1}
                host: {enabled: false}
                unavailable: {base: true}
                """);
        ServedModel model =
                new ServedModel(
                        "demo",
                        Criteria.builder()
                                .setTypes(NDList.class, NDList.class)
                                .optEngine("PyTorch")
                                .optModelPath(DemoServer.FOLDER.resolve("base"))
                                .optTranslator(new NoopTranslator())
                                .optArgument("dtype", "float32")
                                .optArgument("residency", residency.toString())
                                .build()
                                .loadModel(),
                        SamplingParameters.greedy(8));
        Path lost = Files.createDirectory(folder.resolve("lost"));
        for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
            Files.copy(DemoServer.FOLDER.resolve("upper").resolve(file), lost.resolve(file));
        }
        model.adapters().register("lost", lost);
        model.adapters().register("reverse", DemoServer.FOLDER.resolve("reverse"));
        // there is room for one, so the other has to be read again
        model.adapters().acquire("reverse").close();
        for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
            Files.delete(lost.resolve(file));
        }
        demo = new DemoServer(model, builder -> builder);
    }

    @AfterClass(alwaysRun = true)
    public void stop() throws Exception {
        if (demo != null) {
            demo.close();
        }
        Files.delete(folder.resolve("lost"));
        Files.delete(folder.resolve("residency.yaml"));
        Files.delete(folder);
    }

    /** Returns requests, and what begins the line of their answer that says who gave it. */
    @DataProvider
    public Object[][] requests() {
        String openAi = "{'model':'lost','prompt':'hello=','temperature':0";
        String tgi = "{'inputs':'hello=','parameters':{'adapter_id':'lost'}";
        String serving = "{'inputs':'hello=','adapters':'lost'";
        return new Object[][] {
            {"/v1/completions", openAi + "}", "{"},
            {"/v1/completions", openAi + ",'stream':true}", "data: {"},
            {"/generate", tgi + "}", "{"},
            {"/generate_stream", tgi + "}", "data:{"},
            {"/invocations", serving + "}", "{"},
            {"/invocations", serving + ",'stream':true}", "{"},
        };
    }

    @Test(dataProvider = "requests")
    public void testSubstitution(String path, String body, String begin) throws Exception {
        HttpResponse<String> answer = demo.post(path, body);
        Assert.assertEquals(answer.statusCode(), 200, answer.body());
        Assert.assertEquals(answer.headers().firstValue("X-Adapter").orElse(""), "lost");
        Assert.assertEquals(answer.headers().firstValue("X-Adapter-Revision").orElse(""), "base");
        Assert.assertEquals(
                answer.headers().firstValue("X-Adapter-Substituted-By").orElse(""), "base");
        boolean said = false;
        for (String line : answer.body().split("\n")) {
            if (line.startsWith(begin)) {
                JsonObject found =
                        JsonParser.parseString(line.substring(begin.length() - 1))
                                .getAsJsonObject();
                said |= says(found) || found.has("details") && says(details(found));
            }
        }
        Assert.assertTrue(said, answer.body());
        Assert.assertFalse(answer.body().contains(folder.toString()), answer.body());
    }

    private static JsonObject details(JsonObject found) {
        return found.get("details").isJsonObject()
                ? found.getAsJsonObject("details")
                : new JsonObject();
    }

    private static boolean says(JsonObject object) {
        return object.has("substituted_by")
                && "base".equals(object.get("substituted_by").getAsString())
                && object.get("substitution_reason").getAsString().contains("lost");
    }

    @Test
    public void testAnotherIsItself() throws Exception {
        HttpResponse<String> answer =
                demo.post("/invocations", "{'inputs':'hello=','adapters':'reverse'}");
        Assert.assertTrue(answer.body().contains("olleh"), answer.body());
        Assert.assertTrue(
                answer.headers().firstValue("X-Adapter-Substituted-By").isEmpty(),
                answer.headers().toString());
        Assert.assertFalse(answer.body().contains("substituted_by"), answer.body());
    }
}
