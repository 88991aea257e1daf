/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The real compiler, which needs no GPU; nothing here runs what it makes. */
public class NvrtcTest {

    // the machine of an ELF file for NVIDIA's GPUs
    private static final int EM_CUDA = 190;

    private Nvrtc nvrtc;

    @BeforeClass
    public void load() {
        nvrtc = NvrtcHere.load();
    }

    @Test
    public void knowsItsVersionAndArchitectures() {
        Assert.assertTrue(nvrtc.version().startsWith("12."), nvrtc.version());
        Assert.assertTrue(
                nvrtc.architectures().containsAll(List.of(80, 86, 89, 90)),
                nvrtc.architectures().toString());
    }

    @Test
    public void compilesMachineCode() {
        byte[] code =
                nvrtc.compile(
                        KernelSource.read("self_test.cu"), List.of(), new KernelTarget("sm_90a"));
        assertMachineCode(code, "djl_lora_self_test");
    }

    @Test
    public void compilesPtxThatAZeroEnds() {
        byte[] code =
                nvrtc.compile(
                        KernelSource.read("self_test.cu"),
                        List.of(),
                        new KernelTarget("compute_80"));
        String text = new String(code, StandardCharsets.US_ASCII);
        Assert.assertTrue(text.contains(".target sm_80"), text);
        Assert.assertTrue(text.contains(".entry djl_lora_self_test("), text);
        Assert.assertEquals(text.indexOf('\0'), text.length() - 1);
    }

    @Test
    public void definitionsReachTheKernels() {
        KernelSource source =
                new KernelSource(
                        "trial.cu",
                        "extern \"C\" __global__ void trial(int* p) { *p = DJL_LORA_RANK * 100000 +"
                                + " DJL_LORA_HIDDEN; }",
                        new TreeMap<>());
        KernelShape shape = new KernelShape(ElementType.FLOAT16, 16, 4096);
        String text =
                new String(
                        nvrtc.compile(source, shape.options(), new KernelTarget("compute_80")),
                        StandardCharsets.US_ASCII);
        Assert.assertTrue(text.contains("1604096"), text);
    }

    @Test
    public void errorsNameTheLine() {
        KernelSource source =
                new KernelSource(
                        "wrong.cu",
                        "#include \"part.h\"\n",
                        new TreeMap<>(
                                Map.of("part.h", "__device__ int f() { return unknown; }\n")));
        LoraBackendException e =
                Assert.expectThrows(
                        LoraBackendException.class,
                        () -> nvrtc.compile(source, List.of(), new KernelTarget("sm_80")));
        Assert.assertTrue(
                e.getMessage()
                        .matches(
                                "NVRTC 12\\.\\d+ cannot compile wrong.cu for sm_80: part.h\\(1\\):"
                                        + " error: identifier \"unknown\" is undefined"),
                e.getMessage());
    }

    @Test
    public void theOperatorsKernelsCompileForEachTypeAndAreKept() throws Exception {
        Path folder = Files.createTempDirectory("kernels");
        JitKernels kernels =
                new JitKernels(nvrtc, new KernelStore(folder, 1L << 30, InstantSource.system()));
        for (ElementType type : List.of(ElementType.FLOAT16, ElementType.BFLOAT16)) {
            KernelShape shape = new KernelShape(type, 16, 4096);
            JitKernels.CompiledKernels made = kernels.get(shape, 9, 0);
            Assert.assertEquals(made.target().name(), "sm_90a");
            assertMachineCode(
                    made.code(),
                    "sgmv_decode_fused_" + (type == ElementType.FLOAT16 ? "f16" : "bf16"));
            Assert.assertEquals(kernels.get(shape, 9, 0).code(), made.code());
        }
        try (Stream<Path> files = Files.walk(folder)) {
            List<Path> all = files.sorted(Comparator.reverseOrder()).toList();
            Assert.assertEquals(all.size(), 3, all.toString());
            for (Path file : all) {
                Files.delete(file);
            }
        }
    }

    @Test
    public void aLibraryThatIsNotThereIsNamed() {
        LoraBackendException e =
                Assert.expectThrows(
                        LoraBackendException.class, () -> Nvrtc.load(Path.of("no/such.so")));
        Assert.assertEquals(
                e.getMessage(),
                "NVRTC is not at no/such.so; name libnvrtc.so.12 by DJL_LORA_NVRTC");
    }

    private static void assertMachineCode(byte[] code, String kernel) {
        ByteBuffer elf = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
        Assert.assertEquals(elf.getInt(0), 0x464c457f, "ELF's first bytes");
        Assert.assertEquals(elf.getShort(18), EM_CUDA);
        String text = new String(code, StandardCharsets.ISO_8859_1);
        Assert.assertTrue(text.contains(".text." + kernel + '\0'), kernel + " is not in the code");
    }

    @DataProvider
    public Object[] modules() {
        return JitModules.MODULES.toArray();
    }

    /** For a device that no kernels in the native library serve; PTX takes a tenth of the time. */
    @Test(dataProvider = "modules")
    public void everyModuleCompiles(String module) {
        byte[] code =
                nvrtc.compile(
                        KernelSource.read(module + ".cu"),
                        List.of(),
                        new KernelTarget("compute_80"));
        Assert.assertTrue(
                new String(code, StandardCharsets.US_ASCII).contains(".visible .entry "), module);
    }

    @Test
    public void noModuleIsLeftOut() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("../native-op/src/cuda/kernels"))) {
            Assert.assertEqualsNoOrder(
                    files.map(file -> file.getFileName().toString())
                            .filter(name -> name.endsWith(".cu"))
                            .map(name -> name.substring(0, name.length() - 3))
                            .toArray(),
                    JitModules.MODULES.toArray());
        }
    }
}
