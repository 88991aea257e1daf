/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.Backends;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.Optional;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What an adapter on the disk becomes beside the operator. */
public class ExtrasLoaderTest {

    private static final int OUTPUT = 3;
    private static final String TOKENS = "model.embed_tokens.token_adapter.trainable_tokens_delta";

    /** The numbers of the model's output layer and of its embedding [12, 6]. */
    private static final float[] TABLE = Backends.randomValues(new Random(6), 72, 1);

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    @DataProvider
    public Object[][] backendsAndTypes() {
        return Backends.withTypes();
    }

    @Test(dataProvider = "backendsAndTypes")
    public void aPlainAdapterHasNone(LoraBackend backend, ElementType type) throws IOException {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(backend, type, manager, AdapterDirectory.LAYOUT)) {
            int arrays = manager.getManagedArrays().size();
            Assert.assertEquals(load(context), Optional.empty());
            Assert.assertEquals(manager.getManagedArrays().size(), arrays);
        }
    }

    /* PEFT saves the base's own weights beside an adapter of the output layer. */
    @Test(dataProvider = "backendsAndTypes")
    public void weightsThatTheModelHasAreNotKeptTwice(LoraBackend backend, ElementType type)
            throws IOException {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(backend, type, manager, AdapterDirectory.LAYOUT)) {
            directory.with("modules_to_save", "[\"lm_head\", \"embed_tokens\"]");
            float[] other = TABLE.clone();
            other[71] = 5;
            putTable("lm_head", TABLE);
            putTable("model.embed_tokens", TABLE);
            Assert.assertEquals(load(context), Optional.empty());

            putTable("lm_head", other);
            try (AdapterExtras extras = load(context).orElseThrow()) {
                Assert.assertTrue(extras.changesLinear(OUTPUT));
                Assert.assertNull(extras.embedding());
                NDArray weight = extras.weight(OUTPUT);
                Assert.assertEquals(weight.getShape(), new Shape(12, 6));
                Assert.assertEquals(Backends.values(context.getOps(), weight), other, 0);
            }
            putTable("lm_head", TABLE);
            putTable("model.embed_tokens", other);
            try (AdapterExtras extras = load(context).orElseThrow()) {
                Assert.assertFalse(extras.changesLinear(OUTPUT));
                Assert.assertEquals(
                        Backends.values(context.getOps(), extras.embedding().weight()), other, 0);
            }
        }
    }

    @Test(dataProvider = "backendsAndTypes")
    public void whatTheTypeCannotHoldIsRefused(LoraBackend backend, ElementType type)
            throws IOException {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(backend, type, manager, AdapterDirectory.LAYOUT)) {
            directory.with("modules_to_save", "[\"norm\"]");
            float[] values = {1, 2, 3, 4, -70000, 6};
            directory.tensors.put(PREFIX + "model.norm.weight", HostTensor.of(values, 6));
            if (type != ElementType.FLOAT16) {
                load(context).orElseThrow().close();
                return;
            }
            int arrays = manager.getManagedArrays().size();
            LoraCompatibilityException e =
                    Assert.expectThrows(LoraCompatibilityException.class, () -> load(context));
            Assert.assertEquals(
                    e.getMessage(),
                    directory.path()
                            + ": what replaces model.norm holds -70000.0, which float16 cannot"
                            + " hold");
            Assert.assertEquals(manager.getManagedArrays().size(), arrays);
        }
    }

    @Test(dataProvider = "backendsAndTypes")
    public void trainedRowsAreSortedAndReachATiedOutput(LoraBackend backend, ElementType type)
            throws IOException {
        directory.with("trainable_token_indices", "[9, 2, 3]");
        float[] rows = new float[18];
        for (int i = 0; i < rows.length; ++i) {
            rows[i] = i;
        }
        directory.tensors.put(PREFIX + TOKENS, HostTensor.of(rows, 3, 6));
        float[] sorted = {
            6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 4, 5,
        };
        for (ModelLayout layout :
                new ModelLayout[] {AdapterDirectory.LAYOUT, AdapterDirectory.TIED}) {
            try (NDManager manager = NDManager.newBaseManager("PyTorch");
                    LoraContext context = context(backend, type, manager, layout);
                    AdapterExtras extras = load(context).orElseThrow()) {
                AdapterExtras.ReplacedRows replaced = extras.embedding().replaced();
                Assert.assertEquals(replaced.indices(), new int[] {2, 3, 9});
                Assert.assertEquals(
                        Backends.values(context.getOps(), replaced.values()), sorted, 0);
                boolean tied = layout == AdapterDirectory.TIED;
                Assert.assertSame(extras.weightRows(OUTPUT), tied ? replaced : null);
            }
        }
    }

    /* A replaced output layer is not the embedding any more, even where its numbers are the same. */
    @Test(dataProvider = "backendsAndTypes")
    public void trainedRowsDoNotReachAReplacedOutput(LoraBackend backend, ElementType type)
            throws IOException {
        directory.with("trainable_token_indices", "[1]");
        directory.put(PREFIX + TOKENS, 1L, 6L);
        directory.with("modules_to_save", "[\"lm_head\"]");
        putTable("lm_head", TABLE);
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(backend, type, manager, AdapterDirectory.TIED);
                AdapterExtras extras = load(context).orElseThrow()) {
            Assert.assertNotNull(extras.embedding().replaced());
            Assert.assertNull(extras.weightRows(OUTPUT));
            Assert.assertFalse(extras.changesLinear(OUTPUT));
        }
    }

    @Test(dataProvider = "backendsAndTypes")
    public void activatedAdaptersNeedAModelOfSequences(LoraBackend backend, ElementType type)
            throws IOException {
        directory.with("alora_invocation_tokens", "[4, 5]");
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = context(backend, type, manager, AdapterDirectory.LAYOUT);
                AdapterExtras extras = load(context).orElseThrow()) {
            Assert.assertEquals(extras.invocationTokens(), new int[] {4, 5});
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context =
                        context(
                                backend,
                                type,
                                manager,
                                new ModelLayout(AdapterDirectory.MODULES))) {
            LoraCompatibilityException e =
                    Assert.expectThrows(LoraCompatibilityException.class, () -> load(context));
            Assert.assertEquals(
                    e.getMessage(),
                    directory.path()
                            + ": the adapter acts from its invocation tokens on, which this model"
                            + " does not look for");
        }
    }

    private Optional<AdapterExtras> load(LoraContext context) throws IOException {
        LoraAdapter adapter = directory.load(context.getLayout(), LoadingPolicy.STRICT);
        ExtrasLoader.checkActivation(context, adapter);
        return ExtrasLoader.load(context, adapter.source(), adapter.changes().besideProducts());
    }

    private void putTable(String module, float... values) {
        directory.tensors.put(PREFIX + module + ".weight", HostTensor.of(values, 12, 6));
    }

    /** Makes a context of a layout's shapes. */
    private static LoraContext context(
            LoraBackend backend, ElementType type, NDManager manager, ModelLayout layout) {
        LoraContext context = new LoraContext(backend, type, manager);
        NDArray table = Backends.array(manager, context.getOps(), type, TABLE, 12, 6);
        for (LoraModule module : layout.linears()) {
            Shape shape = new Shape(module.outFeatures(), module.inFeatures());
            context.addModule(
                    module.name(),
                    module.index() == OUTPUT ? table : context.getOps().zeros(manager, shape, type),
                    null);
        }
        layout.norms().forEach(context::addNorm);
        layout.embedding().ifPresent(embedding -> context.setEmbedding(embedding, table));
        layout.attention().ifPresent(context::setAttention);
        return context;
    }
}
