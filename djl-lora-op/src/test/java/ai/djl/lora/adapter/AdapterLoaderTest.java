/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static ai.djl.lora.adapter.AdapterDirectory.LAYOUT;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static ai.djl.lora.adapter.AdapterDirectory.V;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertNotEquals;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class AdapterLoaderTest {

    private static final String QA = PREFIX + Q + ".lora_A.weight";
    private static final String QB = PREFIX + Q + ".lora_B.weight";
    private static final String VA = PREFIX + V + ".lora_A.weight";
    private static final String VB = PREFIX + V + ".lora_B.weight";

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
    public Object[][] types() {
        return new Object[][] {
            {ElementType.FLOAT32}, {ElementType.FLOAT16}, {ElementType.BFLOAT16}
        };
    }

    @Test(dataProvider = "types")
    public void keepsWeightsAsStored(ElementType type) throws IOException {
        directory.put(QA, type, 3, 6);
        LoraAdapter adapter = directory.load();
        assertEquals(adapter.source(), directory.path());
        assertEquals(adapter.config().peftType(), "LORA");
        assertEquals(List.copyOf(adapter.changes().linears().keySet()), List.of(Q, V));
        LoraWeights q = adapter.changes().linears().get(Q).product();
        assertEquals(q.rank(), 3);
        assertEquals(q.scale(), 2f);
        assertSame(q.a().type(), type);
        assertEquals(q.a().shape(), new long[] {3, 6});
        assertEquals(q.a().data(), directory.tensors.get(QA).data());
        assertEquals(q.b().data(), directory.tensors.get(QB).data());
        LoadReport report = adapter.report();
        assertTrue(report.isAccepted());
        assertEquals(report.applied(), List.of(Q, V));
        assertEquals(report.toString(), directory.path() + ": accepted, applied to 2 modules");
    }

    @Test
    public void followsRanksAndScalesByModule() throws IOException {
        directory
                .with("rank_pattern", "{\"v_proj\": 2}")
                .with("alpha_pattern", "{\"q_proj\": 0.75}");
        directory.put(VA, ElementType.FLOAT32, 2, 6);
        directory.put(VB, ElementType.FLOAT32, 2, 2);
        LoraAdapter adapter = directory.load();
        assertEquals(adapter.changes().linears().get(Q).product().rank(), 3);
        assertEquals(adapter.changes().linears().get(Q).product().scale(), 0.25f);
        assertEquals(adapter.changes().linears().get(V).product().rank(), 2);
        assertEquals(adapter.changes().linears().get(V).product().scale(), 3f);
    }

    @DataProvider
    public Object[][] styles() {
        return new Object[][] {{"", ""}, {PREFIX, ".default"}, {"", ".default"}, {PREFIX, ".a-b"}};
    }

    /** How tensors are called does not change what the adapter is. */
    @Test(dataProvider = "styles")
    public void readsEveryStyleOfNames(String prefix, String name) throws IOException {
        String revision = directory.load().revision();
        Map<String, HostTensor> renamed = new LinkedHashMap<>();
        directory.tensors.forEach(
                (key, tensor) ->
                        renamed.put(
                                prefix
                                        + key.substring(PREFIX.length())
                                                .replace(".weight", name + ".weight"),
                                tensor));
        directory.tensors.clear();
        directory.tensors.putAll(renamed);
        LoraAdapter adapter = directory.load();
        assertEquals(adapter.revision(), revision);
        assertEquals(adapter.changes().linears().keySet(), Set.of(Q, V));
    }

    @Test
    public void revisionIsThatOfTheContent() throws IOException {
        String revision = directory.load().revision();
        assertTrue(revision.matches("[0-9a-f]{64}"), revision);
        assertEquals(directory.load().revision(), revision);
        // neither the order of tensors nor notes about training count
        HostTensor first = directory.tensors.remove(QA);
        directory.tensors.put(QA, first);
        directory.with("lora_dropout", "0.5").with("base_model_name_or_path", "\"x\"");
        assertEquals(directory.load().revision(), revision);
        // one name for one scale, however it is said
        directory.with("lora_alpha", "100").with("alpha_pattern", "{\".*\": 6}");
        assertEquals(directory.load().revision(), revision);
        directory.with("alpha_pattern", "{\"q_proj\": 6}");
        assertNotEquals(directory.load().revision(), revision);
        directory.with("lora_alpha", "6").with("use_rslora", "true");
        assertNotEquals(directory.load().revision(), revision);
        directory.with("use_rslora", "false").with("alpha_pattern", null);
        assertEquals(directory.load().revision(), revision);
        directory.tensors.get(QB).data()[5] ^= 1;
        assertNotEquals(directory.load().revision(), revision);
        directory.tensors.get(QB).data()[5] ^= 1;
        assertEquals(directory.load().revision(), revision);
        directory.tensors.put(QA, directory.tensors.get(VA));
        assertEquals(directory.load().revision(), revision, "the two are equal");
        directory.put(QA, ElementType.FLOAT16, 3, 6);
        assertNotEquals(directory.load().revision(), revision);
    }

    /** What is done to a right adapter, and the report's errors and missing modules. */
    @DataProvider
    public Object[][] misfits() {
        String fits = " by the configuration's rank 3 and the module's shape ";
        return new Object[][] {
            {change(d -> d.tensors.remove(QB)), lacking(QB, QA), 1},
            {change(d -> d.tensors.remove(QA)), lacking(QA, QB), 1},
            {
                change(
                        d -> {
                            d.tensors.remove(VA);
                            d.tensors.remove(VB);
                        }),
                "1 errors (module \""
                        + V
                        + "\" has no tensors, though the configuration names it), applied to 1"
                        + " modules",
                1
            },
            {
                change(d -> d.with("target_modules", "\"model.*_proj\"")),
                "1 errors (module \"model.layers.0.mlp.up_proj\" has no tensors",
                2
            },
            {
                change(d -> d.with("target_modules", "\"all-linear\"")),
                "1 errors (module \"model.layers.0.mlp.up_proj\" has no tensors",
                2
            },
            {
                change(d -> d.with("target_modules", "[\"q_proj\"]")),
                "2 errors (tensor \""
                        + VA
                        + "\" belongs to a module that target_modules does not name; tensor \""
                        + VB
                        + "\" belongs to a module that target_modules does not name)",
                1
            },
            {
                change(d -> d.put(QA, ElementType.FLOAT32, 2, 6)),
                "tensor \"" + QA + "\" has the shape [2, 6], expected [3, 6]" + fits + "[4, 6]",
                1
            },
            {
                change(d -> d.put(QA, ElementType.FLOAT32, 6, 3)),
                "tensor \"" + QA + "\" has the shape [6, 3], expected [3, 6]" + fits + "[4, 6]",
                1
            },
            {
                change(d -> d.put(QA, ElementType.FLOAT32, 3, 8)),
                "tensor \"" + QA + "\" has the shape [3, 8], expected [3, 6]" + fits + "[4, 6]",
                1
            },
            {
                change(d -> d.put(VB, ElementType.FLOAT32, 4, 3)),
                "tensor \"" + VB + "\" has the shape [4, 3], expected [2, 3]" + fits + "[2, 6]",
                1
            },
            {
                change(
                        d ->
                                d.tensors.put(
                                        VB,
                                        new HostTensor(
                                                ElementType.FLOAT16,
                                                new long[] {6},
                                                new byte[12]))),
                "tensor \"" + VB + "\" has the shape [6], expected [2, 3]" + fits + "[2, 6]",
                1
            },
            {
                change(d -> d.with("r", "4")),
                "4 errors (tensor \""
                        + QA
                        + "\" has the shape [3, 6], expected [4, 6] by the configuration's rank 4",
                0
            },
            {
                change(
                        d ->
                                d.put(
                                        PREFIX + "model.layers.0.self_attn.q_prog.lora_A.weight",
                                        ElementType.FLOAT32,
                                        3,
                                        6)),
                "tensor \""
                        + PREFIX
                        + "model.layers.0.self_attn.q_prog.lora_A.weight\" belongs to no module of"
                        + " the model (nearest are "
                        + Q
                        + ", "
                        + V
                        + ", model.layers.0.mlp.up_proj)",
                2
            },
            {
                change(
                        d ->
                                d.put(
                                        PREFIX + Q + ".lora_magnitude_vector",
                                        ElementType.FLOAT32,
                                        1,
                                        4)),
                "1 errors (tensor \""
                        + PREFIX
                        + Q
                        + ".lora_magnitude_vector\" is DoRA's, and the configuration's use_dora is"
                        + " not true)",
                2
            },
            {
                change(d -> d.put(PREFIX + Q + ".lora_B.bias", ElementType.FLOAT32, 1, 4)),
                "1 errors (tensor \""
                        + PREFIX
                        + Q
                        + ".lora_B.bias\" is a bias of B, and the configuration's lora_bias is not"
                        + " true)",
                2
            },
            {
                change(d -> d.put(PREFIX + Q + ".weight", ElementType.FLOAT32, 4, 6)),
                "1 errors (tensor \""
                        + PREFIX
                        + Q
                        + ".weight\" belongs to a module that modules_to_save does not name)",
                2
            },
            {
                change(
                        d ->
                                d.put(
                                        PREFIX + "model.embed_tokens.lora_embedding_A",
                                        ElementType.FLOAT32,
                                        3,
                                        12)),
                "1 errors (tensor \""
                        + PREFIX
                        + "model.embed_tokens.lora_embedding_A\" belongs to a module that"
                        + " target_modules does not name)",
                2
            },
            {
                change(d -> d.put(PREFIX + Q + ".lora_C.weight", ElementType.FLOAT32, 3, 6)),
                notThere(PREFIX + Q + ".lora_C.weight"),
                2
            },
            {
                change(d -> d.tensors.put(QA, spoiled(Float.NaN))),
                "tensor \""
                        + QA
                        + "\" holds NaN or an infinity at [1, 4], every weight must be finite",
                2
            },
            {
                change(d -> d.tensors.put(QA, spoiled(Float.NEGATIVE_INFINITY))),
                "tensor \""
                        + QA
                        + "\" holds NaN or an infinity at [1, 4], every weight must be finite",
                2
            },
            {
                change(
                        d -> {
                            d.tensors.clear();
                            d.with("target_modules", "[\"c_attn\"]");
                        }),
                "refused, applied to 0 modules, 1 warnings (target_modules names \"c_attn\", which"
                        + " the model does not have)",
                0
            },
            {
                change(
                        d -> {
                            d.tensors.clear();
                            d.with("target_modules", null);
                        }),
                "refused, applied to 0 modules, 1 warnings (target_modules is absent",
                0
            },
        };
    }

    private static Consumer<AdapterDirectory> change(Consumer<AdapterDirectory> change) {
        return change;
    }

    private static String lacking(String tensor, String other) {
        return "2 errors (module \""
                + Q
                + "\" has no tensor \""
                + tensor.substring(PREFIX.length())
                + "\"; tensor \""
                + other
                + "\" cannot be used without the tensors that its module lacks)";
    }

    private static String notThere(String tensor) {
        return "1 errors (tensor \""
                + tensor
                + "\" is none that an adapter of type LORA has there)";
    }

    private static HostTensor spoiled(float value) {
        float[] values = new float[18];
        values[10] = value;
        return SafetensorsWriter.tensor(ElementType.BFLOAT16, 3, 6, values);
    }

    @Test(dataProvider = "misfits")
    public void refusesWhatDoesNotFit(
            Consumer<AdapterDirectory> change, String message, int applied) {
        change.accept(directory);
        String found = failure(LoraCompatibilityException.class);
        assertTrue(found.startsWith(directory.path() + ": refused, "), found);
        assertTrue(found.contains(message), found);
        assertTrue(found.contains("applied to " + applied + " modules"), found);
    }

    private String failure(Class<? extends RuntimeException> type) {
        String message = expectThrows(type, directory::load).getMessage();
        assertFalse(message.contains("\n"), message);
        return message;
    }

    @Test
    public void namesOnlyAHandful() {
        for (int i = 0; i < 500; i++) {
            directory.put("layer" + i + ".lora_A.weight", ElementType.FLOAT16, 3, 6);
        }
        String message = failure(LoraCompatibilityException.class);
        assertTrue(message.contains("500 errors ("), message);
        assertTrue(message.contains("; and 497 more)"), message);
        assertTrue(message.length() < 1500, message);
    }

    @Test
    public void reportsTargetsThatTheModelDoesNotHave() throws IOException {
        directory.with("target_modules", "[\"q_proj\", \"v_proj\", \"c_attn\"]");
        LoadReport report = directory.load().report();
        assertEquals(report.ignored(), List.of());
        assertEquals(
                report.toString(),
                directory.path()
                        + ": accepted, applied to 2 modules, 1 warnings (target_modules names"
                        + " \"c_attn\", which the model does not have)");
    }

    @Test
    public void warnsOfAnAdapterThatChangesNothing() throws IOException {
        directory.tensors.put(
                QB, SafetensorsWriter.tensor(ElementType.FLOAT32, 4, 3, new float[12]));
        assertEquals(directory.load().report().issues(), List.of());
        directory.tensors.put(
                VB, SafetensorsWriter.tensor(ElementType.FLOAT32, 2, 3, new float[6]));
        assertEquals(
                directory.load().report().messages(Severity.WARNING),
                List.of("a factor of every module's product is zero: the adapter changes nothing"));
    }

    @Test
    public void refusesOtherElementTypes() throws IOException {
        directory.write();
        String header =
                "{\"" + QA + "\":{\"dtype\":\"F64\",\"shape\":[3,6],\"data_offsets\":[0,144]}}";
        SafetensorsWriter.write(
                directory.path().resolve("adapter_model.safetensors"), header, new byte[144]);
        String message =
                expectThrows(
                                LoraCompatibilityException.class,
                                () -> AdapterLoader.load(directory.path(), LAYOUT))
                        .getMessage();
        assertTrue(
                message.contains(
                        "tensor \"" + QA + "\" has the type F64, allowed are F32, F16 and BF16"),
                message);
    }

    @Test
    public void refusesMissingFiles() throws IOException {
        directory.write();
        Path weights = directory.path().resolve("adapter_model.safetensors");
        Files.write(weights, new byte[3]);
        assertEquals(
                loadFailure(directory.path()),
                weights + ": the file has 3 bytes, but a safetensors file has at least 8");
        Files.delete(weights);
        assertEquals(
                loadFailure(directory.path()),
                directory.path()
                        + ": expected adapter_model.safetensors,"
                        + " adapter_model.safetensors.index.json or adapter_model.bin, found none"
                        + " of them");
        Path gone = directory.path().resolve("gone");
        assertEquals(loadFailure(gone), gone + ": there is no such file or directory");
    }

    private static String loadFailure(Path path) {
        return expectThrows(
                        LoraConfigurationException.class, () -> AdapterLoader.load(path, LAYOUT))
                .getMessage();
    }

    @Test
    public void refusesAModelWithTwoModulesOfOneName() throws IOException {
        directory.write();
        expectThrows(
                IllegalArgumentException.class,
                () ->
                        AdapterLoader.load(
                                directory.path(),
                                new ModelLayout(
                                        List.of(
                                                new LoraModule(0, Q, 6, 4),
                                                new LoraModule(1, Q, 6, 4)))));
    }

    /** Whatever the bytes say, the loader answers with an adapter or with its own failure. */
    @Test
    public void survivesDamage() throws IOException {
        directory.write();
        Random random = new Random(20260101);
        int refused = 0;
        for (String name : List.of("adapter_model.safetensors", PeftConfig.FILE_NAME)) {
            Path file = directory.path().resolve(name);
            byte[] whole = Files.readAllBytes(file);
            for (int i = 0; i < 1500; i++) {
                byte[] damaged = whole.clone();
                for (int j = random.nextInt(3); j >= 0; j--) {
                    // the first bytes hold the lengths and names that matter most
                    int at = random.nextInt(random.nextBoolean() ? 40 : whole.length);
                    damaged[at] = (byte) random.nextInt(256);
                }
                Files.write(file, damaged);
                try {
                    AdapterLoader.load(directory.path(), LAYOUT);
                } catch (LoraException e) {
                    assertFalse(e.getMessage().contains("\n"), e.getMessage());
                    refused++;
                }
            }
            Files.write(file, whole);
        }
        assertTrue(refused > 1000, refused + " of 3000 were refused");
    }
}
