/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.MalformedModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.op.AdapterType;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Model folders with a serving.properties, as archives for DJL Serving have them. */
public class ServingArchiveTest {

    private static final String SERVING =
            "engine=PyTorch\n"
                    + "blockFactory=ai.djl.lora.model.LlamaBlockFactory\n"
                    + "option.hasParameter=false\n"
                    + "translatorFactory=ai.djl.lora.translate.TextGenerationTranslatorFactory\n"
                    + "dtype=float32\n";

    private TemporaryFolder folder;
    private Path base;

    @BeforeMethod
    public void copy() throws IOException {
        folder = new TemporaryFolder();
        base = folder.path().resolve("model");
        copy(DemoModel.FOLDER.resolve("base"), base);
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }

    @AfterMethod(alwaysRun = true)
    public void delete() throws IOException {
        folder.close();
    }

    private void addAdapter(String name) throws IOException {
        copy(DemoModel.FOLDER.resolve(name), base.resolve("adapters").resolve(name));
    }

    /* As DJL Serving does: what begins with option. is an option, and the rest arguments. */
    private ZooModel<Input, Output> load(String properties) throws Exception {
        Files.writeString(base.resolve("serving.properties"), SERVING + properties);
        return Criteria.builder()
                .setTypes(Input.class, Output.class)
                .optModelPath(base)
                .build()
                .loadModel();
    }

    private static AdapterStore store(ZooModel<Input, Output> model) {
        return ((AdaptedBlock) model.getBlock()).getAdapters();
    }

    private static String answer(ZooModel<Input, Output> model, String adapter) throws Exception {
        try (Predictor<Input, Output> predictor = model.newPredictor()) {
            String body = "{'inputs': 'hello=', 'adapter': '" + adapter + "'}";
            return predictor.predict(DemoModel.json(body)).getData().getAsString();
        }
    }

    @Test
    public void testAdaptersInsideTheModelAreRegisteredWhereThatIsSwitchedOn() throws Exception {
        addAdapter("upper");
        addAdapter("reverse");
        Files.writeString(base.resolve("adapters/.hidden"), "");
        for (String on : List.of("enable_lora=true", "option.enable_lora=true")) {
            try (ZooModel<Input, Output> model = load(on)) {
                Assert.assertEquals(store(model).names(), Set.of("reverse", "upper"));
                Assert.assertTrue(answer(model, "upper").contains("\"HELLO\""));
            }
        }
        for (String off : List.of("", "enable_lora=false")) {
            try (ZooModel<Input, Output> model = load(off)) {
                Assert.assertEquals(store(model).names(), Set.of());
            }
        }
    }

    @Test
    public void testLimitsAreTheTiers() throws Exception {
        String limits =
                "option.max_loras=2\nmax_cpu_loras=3\noption.max_lora_rank=16\n"
                        + "option.lora_dtype=int8\n";
        try (ZooModel<Input, Output> model = load(limits)) {
            AdapterStore store = store(model);
            Assert.assertEquals(
                    ((AdaptedBlock) model.getBlock()).getLoraContext().getAdapterType(),
                    AdapterType.INT8);
            for (String adapter : List.of("upper", "reverse", "sort")) {
                store.register(adapter, DemoModel.FOLDER.resolve(adapter));
                store.acquire(adapter).close();
            }
            Assert.assertEquals(store.statistics().device().adapters(), 2);
        }
    }

    @Test
    public void testAdaptersAreThereAgainAfterARestart() throws Exception {
        addAdapter("upper");
        String properties = "enable_lora=true\nadapter_registry=../registry\n";
        try (ZooModel<Input, Output> model = load(properties)) {
            store(model).register("s", DemoModel.FOLDER.resolve("sort").toAbsolutePath());
            store(model).alias("sorted", "s");
            store(model).setPinned("s", true);
        }
        Assert.assertTrue(Files.isDirectory(folder.path().resolve("registry")));
        try (ZooModel<Input, Output> model = load(properties)) {
            Assert.assertEquals(store(model).names(), Set.of("s", "upper"));
            Assert.assertTrue(store(model).state("s").pinned());
            Assert.assertTrue(answer(model, "sorted").contains("\"ehllo\""));
            store(model).unregister("upper");
        }
        // the archive says again what it has
        try (ZooModel<Input, Output> model = load(properties)) {
            Assert.assertEquals(store(model).names(), Set.of("s", "upper"));
        }
    }

    @DataProvider
    public Object[][] mistakes() {
        return new Object[][] {
            {"max_loras=0", "Argument max_loras is \"0\"; it must be 1 or more"},
            {"max_cpu_loras=many", "Argument max_cpu_loras is \"many\"; it must be 1 or more"},
            {"enable_lora=yes", "Argument enable_lora is \"yes\"; it must be true or false"},
            {
                "max_loras=2\noption.max_loras=3",
                "Argument max_loras is \"2\", and option.max_loras in serving.properties is \"3\""
            },
            {
                "lora_dtype=float16",
                "Argument lora_dtype is \"float16\"; adapters are held in the model's type, so"
                        + " allowed are auto, float32 and int8"
            },
            {
                "lora_dtype=auto\nadapter_dtype=int8",
                "Arguments adapter_dtype and lora_dtype are both given; they mean the same, give"
                        + " one"
            },
            {
                "max_loras=2\nresidency=x.yaml",
                "Arguments residency and max_loras are both given; with a residency file that is"
                        + " said there"
            },
            {
                "adapters=a=x,a=y", "Argument adapters names \"a\" twice",
            },
            {
                "adapters=a=x\nenable_lora=false",
                "Argument adapters names adapters, and enable_lora is false",
            },
        };
    }

    @Test(dataProvider = "mistakes")
    public void testMistakesAreRefused(String properties, String message) {
        MalformedModelException e =
                Assert.expectThrows(MalformedModelException.class, () -> load(properties));
        Assert.assertEquals(e.getMessage(), message);
    }

    @Test
    public void testAnAdapterOfAHigherRankIsRefused() throws Exception {
        addAdapter("upper");
        MalformedModelException e =
                Assert.expectThrows(
                        MalformedModelException.class,
                        () -> load("enable_lora=true\noption.max_lora_rank=1"));
        Assert.assertTrue(e.getMessage().contains("allowed are 1"), e.getMessage());
    }

    @Test
    public void testTheFolderOfAdaptersHoldsNothingElse() throws Exception {
        addAdapter("upper");
        Files.writeString(base.resolve("adapters/README"), "");
        MalformedModelException e =
                Assert.expectThrows(MalformedModelException.class, () -> load("enable_lora=true"));
        Assert.assertTrue(
                e.getMessage().endsWith("holds one folder for each adapter, and nothing else"),
                e.getMessage());
    }
}
