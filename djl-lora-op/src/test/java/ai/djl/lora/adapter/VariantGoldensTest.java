/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Loads what PEFT saved for each of its variants, on two models. */
public class VariantGoldensTest {

    /** What is refused, and a part of the message. */
    private static final Map<String, String> REFUSED =
            Map.of(
                    "dora-embedding",
                            "LoRA of an embedding is not supported together with use_dora",
                    "lokr-full", "two whole matrices",
                    "olora-unconverted", "\"init_lora_weights\" = \"\"olora\"\"",
                    "pissa-unconverted", "\"init_lora_weights\" = \"\"pissa\"\"",
                    "target-parameters", "\"target_parameters\"",
                    "trainable-tokens-both", "names rows of \"lm_head\"",
                    "vera-noproj", "VeRA without its projections");

    /** The variants that reports name, by the first word of the adapter's name. */
    private static final Map<String, Set<String>> VARIANTS = new HashMap<>();

    static {
        VARIANTS.put("adalora", Set.of("AdaLoRA"));
        VARIANTS.put("alora", Set.of("aLoRA"));
        VARIANTS.put("dora", Set.of("DoRA"));
        VARIANTS.put("ia3", Set.of("IA3"));
        VARIANTS.put("loha", Set.of("LoHa"));
        VARIANTS.put("lokr", Set.of("LoKr"));
        VARIANTS.put("modules", Set.of("LoRA", "replaced"));
        VARIANTS.put("pissa-rslora", Set.of("rsLoRA"));
        VARIANTS.put("prefix", Set.of("prefix"));
        VARIANTS.put("prompt", Set.of("virtual tokens"));
        VARIANTS.put("ptuning", Set.of("virtual tokens"));
        VARIANTS.put("rslora", Set.of("rsLoRA"));
        VARIANTS.put("trainable-tokens", Set.of("LoRA", "trained tokens"));
        VARIANTS.put("trainable-tokens-only", Set.of("trained tokens"));
        VARIANTS.put("vera", Set.of("VeRA"));
        VARIANTS.put("lora-embedding", Set.of("LoRA", "replaced"));
        VARIANTS.put("lora-embedding-only", Set.of("LoRA", "replaced"));
        VARIANTS.put("lora-head", Set.of("LoRA", "replaced"));
    }

    @DataProvider
    public Object[][] adapters() throws IOException {
        List<Object[]> found = new ArrayList<>();
        for (String model : List.of("llama", "qwen2")) {
            try (Stream<Path> folders =
                    Files.list(GoldenModels.VARIANTS.resolve(model + "/adapters"))) {
                folders.map(folder -> folder.getFileName().toString())
                        .sorted()
                        .forEach(name -> found.add(new Object[] {model, name}));
            }
        }
        return found.toArray(Object[][]::new);
    }

    private static Path folder(String model, String name) {
        return GoldenModels.VARIANTS.resolve(model + "/adapters").resolve(name);
    }

    private static ModelLayout layout(String model) throws IOException {
        return GoldenModels.layout(GoldenModels.VARIANTS.resolve(model + "/base"));
    }

    @Test(dataProvider = "adapters")
    public void loadsOrRefuses(String model, String name) throws IOException {
        Path folder = folder(model, name);
        ModelLayout layout = layout(model);
        LoadReport validated = AdapterLoader.validate(folder, layout, LoadingPolicy.STRICT);
        if (REFUSED.containsKey(name)) {
            assertEquals(validated.compatibility(), Compatibility.NONE);
            String message =
                    expectThrows(
                                    LoraVariantException.class,
                                    () -> AdapterLoader.load(folder, layout))
                            .getMessage();
            assertTrue(message.contains(REFUSED.get(name)), message);
            return;
        }
        LoraAdapter adapter = AdapterLoader.load(folder, layout);
        LoadReport report = adapter.report();
        assertEquals(report.compatibility(), Compatibility.FULL, report.toString());
        assertEquals(validated.revision(), Optional.of(adapter.revision()));
        assertEquals(validated.modules(), report.modules());
        Set<String> warnings = new TreeSet<>();
        report.issues().stream()
                .filter(issue -> issue.severity() != Severity.INFO)
                .forEach(issue -> warnings.add(issue.code()));
        assertEquals(warnings, expectedWarnings(name), report.toString());
        checkModules(folder, name, adapter);
    }

    private static Set<String> expectedWarnings(String name) {
        return switch (name) {
            case "bias-lora-only" -> Set.of("config-bias");
            case "loha-patterns", "lokr-factor" -> Set.of("config-dropout");
            default -> Set.of();
        };
    }

    private static void checkModules(Path folder, String name, LoraAdapter adapter) {
        Set<String> found = new HashSet<>();
        long bytes = 0;
        for (ModuleReport module : adapter.report().modules()) {
            found.addAll(List.of(module.variant().split(", ")));
            bytes += module.bytes();
            assertEquals(module.dtype(), "float32");
        }
        found.remove("bias");
        String first = name.replaceAll("-.*", "");
        assertEquals(
                found, VARIANTS.getOrDefault(name, VARIANTS.getOrDefault(first, Set.of("LoRA"))));
        long all = 0;
        try (AdapterFiles files = AdapterFiles.open(folder, FormatLimits.DEFAULTS)) {
            for (TensorInfo tensor : files.tensors().values()) {
                all += tensor.name().startsWith("base_model.vera_") ? 0 : tensor.size();
            }
        }
        assertEquals(bytes, all);
    }

    @DataProvider
    public Object[][] expanded() throws IOException {
        return Stream.of(adapters())
                .filter(each -> !REFUSED.containsKey((String) each[1]))
                .filter(each -> ((String) each[1]).matches("(adalora|vera|loha|lokr).*"))
                .toArray(Object[][]::new);
    }

    /**
     * Multiplies products out and holds them against PEFT's formulas in double. Elements are below
     * 100 and each is a sum of products of a few float32 roundings: 1e-5 is beyond them.
     */
    @Test(dataProvider = "expanded")
    public void productsAreWhatTheFormulasSay(String model, String name) throws IOException {
        Path folder = folder(model, name);
        LoraAdapter adapter = AdapterLoader.load(folder, layout(model));
        int checked = 0;
        try (AdapterFiles files = AdapterFiles.open(folder, FormatLimits.DEFAULTS)) {
            Formulas formulas = new Formulas(files);
            for (LoraModule module : layout(model).linears()) {
                LinearChange change = adapter.changes().linears().get(module.name());
                if (change == null) {
                    continue;
                }
                double scale =
                        adapter.report().modules().stream()
                                .filter(each -> each.name().equals(module.name()))
                                .findFirst()
                                .orElseThrow()
                                .scale();
                double[][] expected = formulas.delta(module, scale);
                double[][] found =
                        Formulas.product(
                                Formulas.matrix(change.product().b()),
                                Formulas.matrix(change.product().a()));
                for (int i = 0; i < expected.length; i++) {
                    for (int j = 0; j < expected[i].length; j++) {
                        assertEquals(
                                change.product().scale() * found[i][j],
                                expected[i][j],
                                1e-5,
                                module + " " + i + " " + j);
                    }
                }
                checked++;
            }
        }
        assertTrue(checked > 1);
    }

    /** The change of a weight, as PEFT's get_delta_weight computes it, in double. */
    private record Formulas(AdapterFiles files) {

        double[][] delta(LoraModule module, double scale) {
            String name = module.name() + '.';
            double[][] result;
            if (has(name + "lora_E")) {
                double[][] a = read(name + "lora_A");
                double[][] e = read(name + "lora_E");
                for (int k = 0; k < a.length; k++) {
                    for (int j = 0; j < a[k].length; j++) {
                        a[k][j] *= e[k][0];
                    }
                }
                result = product(read(name + "lora_B"), a);
            } else if (has(name + "hada_w1_a")) {
                double[][] one = product(read(name + "hada_w1_a"), read(name + "hada_w1_b"));
                result = product(read(name + "hada_w2_a"), read(name + "hada_w2_b"));
                for (int i = 0; i < result.length; i++) {
                    for (int j = 0; j < result[i].length; j++) {
                        result[i][j] *= one[i][j];
                    }
                }
            } else if (has(name + "vera_lambda_b")) {
                result = vera(module);
            } else {
                result = kronecker(factor(name + "lokr_w1"), factor(name + "lokr_w2"));
            }
            for (double[] row : result) {
                for (int j = 0; j < row.length; j++) {
                    row[j] *= scale;
                }
            }
            return result;
        }

        private double[][] vera(LoraModule module) {
            double[][] a = read("base_model.vera_A");
            double[][] b = read("base_model.vera_B");
            float[] out = floats(module.name() + ".vera_lambda_b");
            float[] inner = floats(module.name() + ".vera_lambda_d");
            double[][] result = new double[module.outFeatures()][module.inFeatures()];
            for (int i = 0; i < result.length; i++) {
                for (int j = 0; j < result[i].length; j++) {
                    for (int k = 0; k < inner.length; k++) {
                        result[i][j] += out[i] * b[i][k] * inner[k] * a[k][j];
                    }
                }
            }
            return result;
        }

        private double[][] factor(String name) {
            return has(name) ? read(name) : product(read(name + "_a"), read(name + "_b"));
        }

        private static double[][] kronecker(double[][] one, double[][] two) {
            double[][] result = new double[one.length * two.length][one[0].length * two[0].length];
            for (int i = 0; i < result.length; i++) {
                for (int j = 0; j < result[i].length; j++) {
                    result[i][j] =
                            one[i / two.length][j / two[0].length]
                                    * two[i % two.length][j % two[0].length];
                }
            }
            return result;
        }

        private boolean has(String name) {
            return files.tensors().containsKey(name);
        }

        private double[][] read(String name) {
            TensorInfo info = files.tensors().get(name);
            return matrix(
                    new HostTensor(
                            info.type().elementType().orElseThrow(),
                            info.shape(),
                            files.read(name)));
        }

        private float[] floats(String name) {
            TensorInfo info = files.tensors().get(name);
            return new HostTensor(
                            info.type().elementType().orElseThrow(), info.shape(), files.read(name))
                    .toFloats();
        }

        static double[][] matrix(HostTensor tensor) {
            int columns = (int) tensor.shape()[1];
            double[][] rows = new double[(int) tensor.shape()[0]][columns];
            float[] values = tensor.toFloats();
            for (int i = 0; i < values.length; i++) {
                rows[i / columns][i % columns] = values[i];
            }
            return rows;
        }

        static double[][] product(double[][] b, double[][] a) {
            double[][] result = new double[b.length][a[0].length];
            for (int i = 0; i < result.length; i++) {
                for (int k = 0; k < a.length; k++) {
                    for (int j = 0; j < result[i].length; j++) {
                        result[i][j] += b[i][k] * a[k][j];
                    }
                }
            }
            return result;
        }
    }
}
