/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.MalformedModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.model.TestModels;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.repository.zoo.ModelZoo;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** What a user writes in a Criteria, and what they get for it. */
public class CriteriaTest {

    private static final Path LLAMA2 = TestModels.model("llama2");

    private Path copy;

    @BeforeMethod
    public void copyModel() throws Exception {
        copy = TestModels.copy(LLAMA2);
    }

    @AfterMethod
    public void deleteCopy() throws Exception {
        TestModels.delete(copy);
    }

    private static Criteria.Builder<NDList, NDList> criteria() {
        return Criteria.builder().setTypes(NDList.class, NDList.class);
    }

    private static CausalLanguageModel blockOf(ZooModel<NDList, NDList> model) {
        return (CausalLanguageModel) model.getBlock();
    }

    @Test
    public void pathIsEnough() throws Exception {
        try (ZooModel<NDList, NDList> model = criteria().optModelPath(LLAMA2).build().loadModel();
                Predictor<NDList, NDList> predictor = model.newPredictor();
                NDManager manager = model.getNDManager().newSubManager()) {
            assertEquals(blockOf(model).getConfig().modelType(), "llama");
            NDArray ids = manager.create(new long[] {1, 5, 9, 7, 3, 2}, new Shape(2, 3));
            try (NDList logits = predictor.predict(new NDList(ids))) {
                assertEquals(logits.singletonOrThrow().getShape(), new Shape(2, 3, 96));
            }
        }
    }

    @Test
    public void engineAndUrlAreTakenToo() throws Exception {
        Criteria<NDList, NDList> byEngine =
                criteria().optModelPath(LLAMA2).optEngine("PyTorch").build();
        Criteria<NDList, NDList> byUrl = criteria().optModelUrls(LLAMA2.toUri().toString()).build();
        Criteria<NDList, NDList> byQuery =
                criteria().optModelUrls(LLAMA2.toUri() + "?backend=pytorch&model_name=x").build();
        try (ZooModel<NDList, NDList> first = byEngine.loadModel();
                ZooModel<NDList, NDList> second = byUrl.loadModel();
                ZooModel<NDList, NDList> third = byQuery.loadModel()) {
            assertEquals(blockOf(first).getConfig().vocabSize(), 96);
            assertEquals(blockOf(second).getConfig().vocabSize(), 96);
            assertEquals(blockOf(third).getLoraContext().getBackend().getName(), "pytorch");
            assertEquals(third.getName(), "x");
        }
    }

    @Test
    public void blockFactoryCanBeNamed() throws Exception {
        Criteria<NDList, NDList> criteria =
                criteria()
                        .optModelPath(LLAMA2)
                        .optArgument("blockFactory", LlamaBlockFactory.class.getName())
                        .build();
        try (ZooModel<NDList, NDList> model = criteria.loadModel()) {
            assertEquals(blockOf(model).getConfig().vocabSize(), 96);
        }
    }

    @Test
    public void servingPropertiesAreRead() throws Exception {
        // a folder in a folder, as unpacked archives have it, that names everything itself
        Path outer = Files.createTempDirectory("djl-lora-outer");
        Files.writeString(
                copy.resolve("serving.properties"),
                "engine=PyTorch\nblockFactory="
                        + LlamaBlockFactory.class.getName()
                        + "\noption.hasParameter=false\nbackend=pytorch\n");
        Path inner = Files.move(copy, outer.resolve("model"));
        assertFalse(HuggingFaceFolder.isOurs(outer));
        try (ZooModel<NDList, NDList> model = criteria().optModelPath(outer).build().loadModel()) {
            assertEquals(blockOf(model).getLoraContext().getBackend().getName(), "pytorch");
        } finally {
            Files.move(inner, copy);
            Files.delete(outer);
        }
    }

    @Test
    public void argumentsChooseBackendTypeAndAdapters() throws Exception {
        Path adapter = TestModels.folder("llama2").resolve("adapter");
        Criteria<NDList, NDList> criteria =
                criteria()
                        .optModelPath(LLAMA2)
                        .optArgument("backend", "pytorch")
                        .optArgument("dtype", "float32")
                        .optArgument("adapters", "one=" + adapter + ",two=" + adapter)
                        .build();
        try (ZooModel<NDList, NDList> model = criteria.loadModel()) {
            assertEquals(blockOf(model).getLoraContext().getBackend().getName(), "pytorch");
            assertEquals(blockOf(model).getAdapters().names(), Set.of("one", "two"));
        }
    }

    @Test
    public void automaticTypeIsTheCheckpointsWhereTheBackendComputesInIt() throws Exception {
        ElementType half = LoraLibrary.isAvailable() ? ElementType.BFLOAT16 : ElementType.FLOAT32;
        assertType("mistral", "pytorch", "auto", half);
        assertType("qwen2", "pytorch", null, ElementType.FLOAT32);
        TestModels.backend("cpu");
        assertType("mistral", "cpu", null, ElementType.BFLOAT16);
        assertType("mistral", "cpu", "float32", ElementType.FLOAT32);
        assertType("llama2", "cpu", "bfloat16", ElementType.BFLOAT16);
        assertType("qwen2", "cpu", "auto", ElementType.FLOAT32);
    }

    private static void assertType(String name, String backend, String dtype, ElementType expected)
            throws Exception {
        Criteria.Builder<NDList, NDList> builder =
                criteria().optModelPath(TestModels.model(name)).optArgument("backend", backend);
        if (dtype != null) {
            builder.optArgument("dtype", dtype);
        }
        try (ZooModel<NDList, NDList> model = builder.build().loadModel()) {
            assertSame(blockOf(model).getLoraContext().getType(), expected);
        }
    }

    @Test
    public void closingTheModelFreesEverything() throws Exception {
        Path adapter = TestModels.folder("llama2").resolve("adapter");
        ZooModel<NDList, NDList> model =
                criteria()
                        .optModelPath(LLAMA2)
                        .optArgument("adapters", "a=" + adapter)
                        .build()
                        .loadModel();
        CausalLanguageModel block = blockOf(model);
        assertTrue(block.getLoraContext().getTable().residentBytes() > 0);
        NDManager manager = model.getNDManager();
        assertFalse(manager.getManagedArrays().isEmpty());
        model.close();
        assertTrue(manager.getManagedArrays().isEmpty());
        assertFalse(manager.isOpen());
        assertThrows(IllegalStateException.class, () -> block.getLoraContext().getTable());
    }

    @Test
    public void failuresHaveDjlsTypeAndOurMessage() throws Exception {
        Files.writeString(
                copy.resolve("config.json"),
                Files.readString(copy.resolve("config.json")).replace("\"llama\"", "\"gpt_neox\""));
        MalformedModelException e =
                expectThrows(
                        MalformedModelException.class,
                        () -> criteria().optModelPath(copy).build().loadModel());
        assertEquals(
                e.getMessage(),
                copy.resolve("config.json")
                        + ": field \"model_type\" is \"gpt_neox\"; expected one of llama, mistral,"
                        + " qwen2, qwen3");
        assertEquals(e.getCause().getClass(), LoraConfigurationException.class);
        MalformedModelException named =
                expectThrows(
                        MalformedModelException.class,
                        () ->
                                criteria()
                                        .optModelPath(copy)
                                        .optArgument(
                                                "blockFactory", LlamaBlockFactory.class.getName())
                                        .build()
                                        .loadModel());
        assertEquals(named.getMessage(), e.getMessage());
    }

    @Test
    public void folderWithoutWeightsIsMalformed() throws Exception {
        Files.delete(copy.resolve("model.safetensors"));
        MalformedModelException e =
                expectThrows(
                        MalformedModelException.class,
                        () -> criteria().optModelPath(copy).build().loadModel());
        assertTrue(e.getMessage().contains("model.safetensors"), e.getMessage());
    }

    @Test
    public void adapterThatDoesNotFitIsMalformed() {
        Path adapter = TestModels.folder("qwen3").resolve("adapter");
        MalformedModelException e =
                expectThrows(
                        MalformedModelException.class,
                        () ->
                                criteria()
                                        .optModelPath(LLAMA2)
                                        .optArgument("adapters", "a=" + adapter)
                                        .build()
                                        .loadModel());
        assertEquals(e.getCause().getClass(), LoraCompatibilityException.class);
    }

    @Test
    public void missingFolderIsNotFound() {
        assertThrows(
                ModelNotFoundException.class,
                () -> criteria().optModelPath(copy.resolve("absent")).build().loadModel());
    }

    @Test
    public void zooIsRegistered() {
        ModelZoo zoo = ModelZoo.getModelZoo(LoraModelZoo.GROUP_ID);
        assertEquals(zoo.getSupportedEngines(), Set.of("PyTorch"));
        assertEquals(zoo.getModelLoaders().isEmpty(), !DemoModel.isPackaged());
        assertThrows(
                IllegalArgumentException.class,
                () -> criteria().optModelUrls("djl-lora://unknown"));
    }

    @Test
    public void demoIsLoadedByUrlAndByGroup() throws Exception {
        if (!DemoModel.isPackaged()) {
            throw new SkipException("This build does not come with the demo model");
        }
        DemoModel demo = DemoModel.extract();
        assertEquals(DemoModel.extract().baseFolder(), demo.baseFolder());
        Criteria<NDList, NDList> byGroup =
                criteria().optGroupId(LoraModelZoo.GROUP_ID).optArtifactId("demo").build();
        try (ZooModel<NDList, NDList> first =
                        criteria().optModelUrls("djl-lora://demo").build().loadModel();
                ZooModel<NDList, NDList> second = byGroup.loadModel()) {
            assertEquals(blockOf(first).getAdapters().names(), demo.adapters().keySet());
            assertEquals(blockOf(second).getAdapters().names(), demo.adapters().keySet());
        }
    }
}
