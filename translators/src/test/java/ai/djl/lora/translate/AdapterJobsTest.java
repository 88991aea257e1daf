/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.inference.Predictor;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslatorFactory;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What DJL Serving asks of adapters, answered by the demo model's translators. */
public class AdapterJobsTest {

    private DemoModel model;
    private Predictor<Input, Output> predictor;

    @BeforeMethod
    public void load() throws Exception {
        model = new DemoModel();
        predictor = predictor(new TextGenerationTranslatorFactory());
    }

    private Predictor<Input, Output> predictor(TranslatorFactory factory) throws Exception {
        return model.predictor(factory, Input.class, Output.class, Map.of("max_new_tokens", 16));
    }

    @AfterMethod(alwaysRun = true)
    public void close() {
        predictor.close();
        model.close();
    }

    private static Input job(String handler, String name, String src) {
        Input input = new Input();
        input.addProperty("handler", handler);
        input.addProperty("name", name);
        // a server's own adapters have no alias as often as not
        input.addProperty("alias", null);
        if (src != null) {
            input.addProperty("src", src);
        }
        return input;
    }

    private static String demo(String adapter) {
        return DemoModel.FOLDER.resolve(adapter).toString();
    }

    private Output run(Input input) throws Exception {
        return predictor.predict(input);
    }

    private void assertDone(String message, Input input) throws Exception {
        Output output = run(input);
        Assert.assertEquals(output.getMessage(), message);
        Assert.assertEquals(output.getCode(), 200);
        Assert.assertEquals(object(output).get("status").getAsString(), message);
    }

    private void assertFails(int code, String message, Input input) throws Exception {
        Output output = run(input);
        Assert.assertEquals(output.getMessage(), message);
        Assert.assertEquals(output.getCode(), code);
        Assert.assertEquals(object(output).get("code").getAsInt(), code);
    }

    private static JsonObject object(Output output) {
        return JsonParser.parseString(output.getData().getAsString()).getAsJsonObject();
    }

    private static Input prompt(String adapter) {
        return DemoModel.json("{'inputs': 'hello=', 'adapters': '" + adapter + "'}");
    }

    private String answer(Input input) throws Exception {
        Output output = run(input);
        return output.getCode() == 200
                ? object(output).get("generated_text").getAsString()
                : output.getCode() + " " + output.getMessage();
    }

    private AdapterStore store() {
        return model.block().getAdapters();
    }

    @Test
    public void testAnAdaptersLife() throws Exception {
        Input register = job("register_adapter", "s", demo("sort"));
        register.addProperty("alias", "sorted");
        register.add("preload", "true");
        register.add("pin", "true");
        assertDone("Adapter s registered", register);
        Assert.assertEquals(store().state("s").place(), AdapterState.Place.DEVICE);
        Assert.assertTrue(store().state("s").pinned());
        Assert.assertEquals(answer(prompt("s")), "ehllo");
        Assert.assertEquals(answer(prompt("sorted")), "ehllo");

        Input unpin = job("update_adapter", "s", null);
        unpin.add("pin", "false");
        assertDone("Adapter s updated", unpin);
        Assert.assertFalse(store().state("s").pinned());

        assertDone("Adapter s updated", job("update_adapter", "s", demo("rot13")));
        Assert.assertEquals(answer(prompt("s")), "uryyb");
        Assert.assertEquals(answer(prompt("sorted")), "uryyb");

        assertDone("Adapter s unregistered", job("unregister_adapter", "s", null));
        Assert.assertEquals(store().names(), Set.of("reverse", "upper"));
        Assert.assertTrue(store().getRegistry().aliases().isEmpty());
        assertFails(
                404,
                "Unknown adapter \"s\"; registered are [reverse, upper]",
                job("unregister_adapter", "s", null));
    }

    @Test
    public void testANewWorkerRegistersWhatIsThere() throws Exception {
        Input register = job("register_adapter", "s", demo("sort"));
        assertDone("Adapter s registered", register);
        store().offload("s");
        assertDone("Adapter s registered", register);
        Assert.assertEquals(store().state("s").place(), AdapterState.Place.DEVICE);
        assertFails(
                409,
                "The adapter s is registered already; unregister or update it",
                job("register_adapter", "s", demo("upper")));
        Assert.assertEquals(answer(prompt("s")), "ehllo");
    }

    @Test
    public void testAFileUriIsAPlace() throws Exception {
        String uri =
                DemoModel.FOLDER.resolve("sort").toAbsolutePath().normalize().toUri().toString();
        assertDone("Adapter s registered", job("register_adapter", "s", uri));
        Assert.assertEquals(answer(prompt("s")), "ehllo");
    }

    @Test
    public void testListAndDescription() throws Exception {
        Input register = job("register_adapter", "s", demo("sort"));
        register.addProperty("alias", "sorted");
        register.add("preload", "false");
        assertDone("Adapter s registered", register);
        Input list = job("list_adapters", "", null);
        StringBuilder names = new StringBuilder();
        for (JsonElement each : object(run(list)).getAsJsonArray("adapters")) {
            names.append(each.getAsJsonObject().get("name").getAsString()).append(' ');
        }
        Assert.assertEquals(names.toString(), "reverse s upper ");
        for (String name : List.of("s", "sorted")) {
            JsonObject adapter = object(run(job("describe_adapter", name, null)));
            Assert.assertEquals(adapter.get("name").getAsString(), "s");
            Path src = DemoModel.FOLDER.resolve("sort").toAbsolutePath().normalize();
            Assert.assertEquals(adapter.get("src").getAsString(), src.toString());
            Assert.assertFalse(adapter.get("preload").getAsBoolean());
            Assert.assertFalse(adapter.get("pin").getAsBoolean());
            Assert.assertEquals(adapter.get("aliases").toString(), "[\"sorted\"]");
            Assert.assertEquals(
                    adapter.get("revision").getAsString(), store().state("s").revision());
        }
    }

    @Test
    public void testABadAdapterHurtsNothingElse() throws Exception {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            Files.copy(
                    DemoModel.FOLDER.resolve("sort/adapter_config.json"),
                    folder.path().resolve("adapter_config.json"));
            Files.write(folder.path().resolve("adapter_model.safetensors"), new byte[4]);
            Output output = run(job("register_adapter", "bad", folder.path().toString()));
            Assert.assertEquals(output.getCode(), 424);
            Assert.assertTrue(
                    output.getMessage().contains("the file has 4 bytes"), output.getMessage());
            Output update = run(job("update_adapter", "upper", folder.path().toString()));
            Assert.assertEquals(update.getCode(), 424);
        }
        Assert.assertEquals(store().names(), Set.of("reverse", "upper"));
        Assert.assertEquals(answer(prompt("upper")), "HELLO");
    }

    @Test
    public void testWhatIsWrongIsRefused() throws Exception {
        assertFails(
                400,
                "the handler is restart; allowed are register_adapter, update_adapter,"
                        + " unregister_adapter, list_adapters and describe_adapter",
                job("restart", "upper", null));
        assertFails(400, "src is missing", job("register_adapter", "s", null));
        assertFails(400, "name is missing", job("register_adapter", " ", demo("sort")));
        assertFails(
                400,
                "src is s3://b/k; a path or a file: URI is needed",
                job("register_adapter", "s", "s3://b/k"));
        Input unknown = job("register_adapter", "s", demo("sort"));
        unknown.add("colour", "red");
        assertFails(
                400,
                "the parameter colour is not known; known are [alias, name, pin, preload, src]",
                unknown);
        Input flag = job("update_adapter", "upper", null);
        flag.add("pin", "yes");
        assertFails(400, "pin is yes; true or false is needed", flag);
        Input taken = job("register_adapter", "s", demo("sort"));
        taken.addProperty("alias", "upper");
        Output output = run(taken);
        Assert.assertEquals(output.getCode(), 424, output.getMessage());
        Assert.assertFalse(store().names().contains("s"), "half registered");
    }

    @Test
    public void testJobsAndRequestsShareABatch() throws Exception {
        List<Output> outputs =
                predictor.batchPredict(
                        List.of(
                                job("register_adapter", "s", demo("sort")),
                                prompt("s"),
                                prompt("nobody"),
                                prompt("upper"),
                                job("unregister_adapter", "nobody", null)));
        Assert.assertEquals(
                outputs.stream().map(Output::getCode).toList(), List.of(200, 200, 424, 200, 404));
        Assert.assertEquals(object(outputs.get(1)).get("generated_text").getAsString(), "ehllo");
    }

    @Test
    public void testTranslatorsThatReadTakeJobsToo() throws Exception {
        for (TranslatorFactory factory :
                List.of(new ScoringTranslatorFactory(), new EmbeddingTranslatorFactory())) {
            try (Predictor<Input, Output> reader =
                    model.predictor(factory, Input.class, Output.class, Map.of())) {
                List<Output> outputs =
                        reader.batchPredict(
                                List.of(
                                        job("register_adapter", "s", demo("sort")),
                                        prompt("s"),
                                        prompt("nobody")));
                Assert.assertEquals(
                        outputs.stream().map(Output::getCode).toList(), List.of(200, 200, 424));
                Assert.assertEquals(object(outputs.get(1)).get("adapter").getAsString(), "s");
                Output only = reader.predict(job("unregister_adapter", "s", null));
                Assert.assertEquals(only.getCode(), 200);
            }
        }
    }

    @Test
    public void testAnAdapterThatCannotBeLoadedFailsItsOwnRequestAlone() throws Exception {
        try (TemporaryFolder folder = new TemporaryFolder()) {
            Path copy = Files.createDirectory(folder.path().resolve("sort"));
            for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
                Files.copy(DemoModel.FOLDER.resolve("sort").resolve(file), copy.resolve(file));
            }
            Path residency = folder.path().resolve("residency.yaml");
            Files.writeString(residency, "host: {enabled: false}\nprefetch: {enabled: false}\n");
            Criteria<Input, Output> criteria =
                    Criteria.builder()
                            .setTypes(Input.class, Output.class)
                            .optModelPath(DemoModel.FOLDER.resolve("base"))
                            .optTranslatorFactory(new TextGenerationTranslatorFactory())
                            .optArgument("dtype", "float32")
                            .optArgument("residency", residency.toString())
                            .optArgument("adapters", "upper=" + demo("upper") + ",s=" + copy)
                            .build();
            try (ZooModel<Input, Output> small = criteria.loadModel();
                    Predictor<Input, Output> own = small.newPredictor()) {
                Assert.assertTrue(((AdaptedBlock) small.getBlock()).getAdapters().offload("s"));
                Files.delete(copy.resolve("adapter_model.safetensors"));
                List<Output> outputs =
                        own.batchPredict(List.of(prompt("upper"), prompt("s"), prompt("")));
                Assert.assertEquals(
                        outputs.stream().map(Output::getCode).toList(), List.of(200, 424, 200));
                Assert.assertEquals(
                        object(outputs.get(0)).get("generated_text").getAsString(), "HELLO");
                Assert.assertEquals(own.predict(prompt("s")).getCode(), 424);
                try (Predictor<Input, Output> scorer =
                        small.newPredictor(
                                new ScoringTranslatorFactory()
                                        .newInstance(Input.class, Output.class, small, Map.of()))) {
                    outputs = scorer.batchPredict(List.of(prompt("upper"), prompt("s")));
                    Assert.assertEquals(
                            outputs.stream().map(Output::getCode).toList(), List.of(200, 424));
                }
            }
        }
    }

    @DataProvider
    public Object[][] namings() {
        Input property = DemoModel.json("{'inputs': 'hello='}");
        property.addProperty("adapter", "upper");
        Input identifier = DemoModel.json("{'inputs': 'hello='}");
        identifier.addProperty("x-amzn-sagemaker-adapter-identifier", "upper");
        Input alias = DemoModel.json("{'inputs': 'hello='}");
        alias.addProperty("X-Amzn-SageMaker-Adapter-Alias", "upper");
        Input parameter = new Input();
        parameter.addProperty("Content-Type", "application/json");
        parameter.add("adapter", "upper");
        parameter.add("data", "{\"inputs\": \"hello=\", \"adapters\": [\"upper\"]}");
        Input plain = new Input();
        plain.add("adapter", "upper");
        plain.add("hello=");
        return new Object[][] {{property}, {identifier}, {alias}, {parameter}, {plain}};
    }

    @Test(dataProvider = "namings")
    public void testEveryPlaceNamesTheAdapter(Input input) throws Exception {
        Assert.assertEquals(answer(input), "HELLO");
    }

    @Test
    public void testPlacesMustAgree() throws Exception {
        store().alias("loud", "upper");
        Input both = DemoModel.json("{'inputs': 'hello=', 'adapter': 'loud'}");
        both.addProperty(AdapterNaming.IDENTIFIER, "upper");
        both.addProperty(AdapterNaming.ALIAS, "loud");
        both.add("adapter", "upper");
        Assert.assertEquals(answer(both), "HELLO");
        both.addProperty(AdapterNaming.ALIAS, "reverse");
        Assert.assertEquals(
                answer(both),
                "400 the header X-Amzn-SageMaker-Adapter-Identifier names [upper] and the header"
                        + " X-Amzn-SageMaker-Adapter-Alias names [reverse]; they must agree");
        Input parameter = DemoModel.json("{'inputs': 'hello=', 'adapter': ''}");
        parameter.add("adapter", "upper");
        Assert.assertEquals(
                answer(parameter),
                "400 the parameter adapter names [upper] and adapter names []; they must agree");
    }

    @Test
    public void testAnUnknownAdapterIsAFailedDependency() throws Exception {
        String message = "Unknown adapter \"nobody\"; registered are [reverse, upper]";
        Assert.assertEquals(answer(prompt("nobody")), "424 " + message);
        Input streamed =
                DemoModel.json("{'inputs': 'hello=', 'adapter': 'nobody', 'stream': true}");
        assertFails(424, message, streamed);
        Input listed = DemoModel.json("{'inputs': ['a=', 'b='], 'adapters': ['', 'nobody']}");
        assertFails(424, "requests[1]: " + message, listed);
    }
}
