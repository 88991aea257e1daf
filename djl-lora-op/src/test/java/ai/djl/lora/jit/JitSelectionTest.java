/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.jni.DeviceImages;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Which kernels a table gets. The table is the test's own: no GPU is needed, and none is used. */
public class JitSelectionTest {

    private static final CudaDevice HOPPER =
            new CudaDevice(0, "A GPU", 9, 0, 80L << 30, 132, Optional.of("sm_90a"));
    // four of 4096 inputs, one of 14336, and more of both
    private static final long[] INPUTS = {4096, 4096, 4096, 4096, 4096, 14336, 4096, 14336};

    private TempDirectory folder;
    private NotingTable table;
    private JitSelection selection;
    private String compilerFails;

    @BeforeMethod
    public void open() throws IOException {
        folder = new TempDirectory();
        table = new NotingTable();
        compilerFails = null;
        JitKernels kernels =
                new JitKernels(
                        new Named(),
                        new KernelStore(folder.path(), 1 << 20, InstantSource.system()));
        selection = new JitSelection(kernels, table);
    }

    @AfterMethod(alwaysRun = true)
    public void close() throws IOException {
        folder.close();
    }

    private List<JitSelection.Choice> apply(int rank) {
        return selection.apply(7, HOPPER, ElementType.BFLOAT16, rank, INPUTS);
    }

    @Test
    public void whatIsMeasurablyFasterIsKept() {
        table.imageTimes = new TreeMap<>(Map.of(4096L, 9.0, 14336L, 9.8));
        Assert.assertEquals(
                apply(16),
                List.of(
                        new JitSelection.Choice(
                                4096,
                                true,
                                "kernels for rank 16 and sm_90a take 9.0 microseconds, the"
                                        + " library's 10.0"),
                        new JitSelection.Choice(
                                14336,
                                false,
                                "kernels for rank 16 and sm_90a take 9.8 microseconds, the"
                                        + " library's 10.0")));
        Assert.assertEquals(
                table.asked,
                List.of(
                        "obstacle",
                        "use 4096 [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=4096] sm_90a",
                        "times [0, 1, 2, 3] 32 16",
                        "obstacle",
                        "use 14336 [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=14336] sm_90a",
                        "times [5, 7] 32 16",
                        "drop 14336"));
    }

    @Test
    public void shapesWithoutAWayOfTheirOwnAreNotCompiled() {
        List<JitSelection.Choice> choices = apply(64);
        Assert.assertFalse(choices.stream().anyMatch(JitSelection.Choice::compiled));
        Assert.assertEquals(
                choices.get(0).reason(), "the kernels have no way of their own for rank 64");
        Assert.assertEquals(
                table.asked, List.of("obstacle", "drop 4096", "obstacle", "drop 14336"));
    }

    @Test
    public void whatTheLibraryLacksIsCompiledForAnyShape() {
        table.obstacle = "no image suits A GPU";
        List<JitSelection.Choice> choices = apply(64);
        Assert.assertTrue(choices.stream().allMatch(JitSelection.Choice::compiled));
        Assert.assertEquals(
                choices.get(1).reason(),
                "kernels for rank 64 and sm_90a, since no image suits A GPU");
        Assert.assertFalse(table.asked.stream().anyMatch(asked -> asked.startsWith("times")));
    }

    @Test
    public void theLibrarysKernelsStayWhereAnythingFails() {
        compilerFails = "NVRTC says no";
        Assert.assertEquals(
                apply(16).get(0),
                new JitSelection.Choice(4096, false, "the library's kernels stay: NVRTC says no"));
        compilerFails = null;
        table.useFails = "the image does not load";
        Assert.assertEquals(
                apply(16).get(0).reason(), "the library's kernels stay: the image does not load");
        table.useFails = null;
        table.timesFail = "no memory left";
        Assert.assertEquals(
                apply(16).get(1),
                new JitSelection.Choice(
                        14336, false, "the library's kernels stay: no memory left"));
        Assert.assertEquals(table.asked.get(table.asked.size() - 1), "drop 14336");
    }

    @Test
    public void whereThereIsNothingBothReasonsAreTold() {
        table.obstacle = "no image suits A GPU";
        compilerFails = "NVRTC says no";
        LoraBackendException e = Assert.expectThrows(LoraBackendException.class, () -> apply(16));
        Assert.assertEquals(
                e.getMessage(),
                "There are no CUDA kernels for A GPU: no image suits A GPU; compiling them at run"
                        + " time failed: NVRTC says no");
    }

    @Test
    public void theShapesAreThoseOfTheKernels() {
        String header = KernelSource.read("sgmv_bf16.cu").headers().get("fixed_shape.h");
        Assert.assertTrue(header.contains("kMaxFixedRank = kFixedIn <= 4096 ? 32 : 16;"), header);
        Assert.assertTrue(header.contains("kFixedIn % kFeatureUnit == 0"), header);
        Assert.assertTrue(new KernelShape(ElementType.FLOAT16, 32, 4096).isFixed());
        Assert.assertFalse(new KernelShape(ElementType.FLOAT16, 33, 4096).isFixed());
        Assert.assertTrue(new KernelShape(ElementType.FLOAT16, 16, 4104).isFixed());
        Assert.assertFalse(new KernelShape(ElementType.FLOAT16, 17, 4104).isFixed());
        Assert.assertFalse(new KernelShape(ElementType.FLOAT16, 8, 4100).isFixed());
    }

    @Test
    public void theNativeLibraryKnowsItsTables() {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        TableImages images = new TableImages.OfLibrary();
        for (Runnable call :
                List.<Runnable>of(
                        () -> images.obstacle(1L << 50),
                        () -> images.use(1L << 50, new byte[100], 4096),
                        () -> images.drop(1L << 50, 4096),
                        () -> images.times(1L << 50, List.of(0), 1, 16))) {
            IllegalArgumentException e =
                    Assert.expectThrows(IllegalArgumentException.class, call::run);
            Assert.assertTrue(
                    e.getMessage()
                            .endsWith(
                                    ": there is no table 1125899906842624 on a device (no such"
                                            + " table was created)"),
                    e.getMessage());
        }
        Assert.assertThrows(
                IllegalArgumentException.class, () -> DeviceImages.use(1L << 50, null, 4096));
    }

    /** Gives its request as the code. */
    private final class Named implements KernelCompiler {

        @Override
        public String version() {
            return "12.6";
        }

        @Override
        public SortedSet<Integer> architectures() {
            return new TreeSet<>(List.of(80, 90));
        }

        @Override
        public byte[] compile(KernelSource source, List<String> options, KernelTarget target) {
            if (compilerFails != null) {
                throw new LoraBackendException(compilerFails);
            }
            return (options + " " + target.name()).getBytes(StandardCharsets.UTF_8);
        }
    }

    /** A table whose library's kernels take 10 microseconds. */
    private static final class NotingTable implements TableImages {

        private final List<String> asked = new ArrayList<>();
        private Map<Long, Double> imageTimes = Map.of();
        private String obstacle;
        private String useFails;
        private String timesFail;
        private long used;

        @Override
        public Optional<String> obstacle(long table) {
            asked.add("obstacle");
            return Optional.ofNullable(obstacle);
        }

        @Override
        public void use(long table, byte[] image, long inFeatures) {
            Assert.assertEquals(table, 7);
            if (useFails != null) {
                throw new EngineException(useFails);
            }
            used = inFeatures;
            asked.add("use " + inFeatures + ' ' + new String(image, StandardCharsets.UTF_8));
        }

        @Override
        public void drop(long table, long inFeatures) {
            asked.add("drop " + inFeatures);
        }

        @Override
        public Times times(long table, List<Integer> modules, int segments, int rank) {
            asked.add("times " + modules + ' ' + segments + ' ' + rank);
            if (timesFail != null) {
                throw new EngineException(timesFail);
            }
            return new Times(10, imageTimes.getOrDefault(used, 10.0));
        }
    }
}
