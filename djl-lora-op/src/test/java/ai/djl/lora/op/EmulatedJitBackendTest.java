/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.lora.jit.JitKernels;
import ai.djl.lora.jit.JitSelection;
import ai.djl.lora.jit.KernelCompiler;
import ai.djl.lora.jit.KernelSource;
import ai.djl.lora.jit.KernelStore;
import ai.djl.lora.jit.KernelTarget;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.util.Utils;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SortedSet;
import java.util.TreeSet;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * What the backend {@code jit} compiles, and that its answers stay those of {@code cuda}. Measuring
 * takes the emulator a minute for each rank, so this runs with {@code -Ddjl.lora.emulated.jit=true}
 * alone.
 */
public class EmulatedJitBackendTest {

    private static final ElementType TYPE = ElementType.BFLOAT16;
    private static final List<LoraModule> MODULES = List.of(new LoraModule(0, "m", 64, 24));

    private Path folder;

    @BeforeClass
    public void load() throws IOException {
        if (!Boolean.getBoolean("djl.lora.emulated.jit")) {
            throw new SkipException("-Ddjl.lora.emulated.jit=true has kernels measured");
        }
        EmulatedTorch.load();
        folder = Files.createTempDirectory("kernels");
    }

    @AfterClass(alwaysRun = true)
    public void clean() {
        if (folder != null) {
            Utils.deleteQuietly(folder);
        }
    }

    @Test
    public void kernelsFollowTheRankOfMostAdapters() {
        Noting compiler = new Noting();
        KernelStore store = new KernelStore(folder, 1 << 20, InstantSource.system());
        CudaBackend jit = new CudaBackend("jit", new JitSelection(new JitKernels(compiler, store)));
        CudaBackend cuda = new CudaBackend("cuda", null);
        try (NDManager manager = NDManager.newBaseManager(Device.gpu(0), "PyTorch");
                AdapterTable own = jit.newTable(manager, MODULES, TYPE, 0);
                AdapterTable others = cuda.newTable(manager, MODULES, TYPE, 0)) {
            Assert.assertEquals(compiler.asked, List.of(), "the library has kernels of its own");
            for (int rank : new int[] {8, 4, 4}) {
                OperatorCase.Part part = OperatorCase.Part.plain(new Random(rank), rank, 64, 24);
                PackedAdapter adapter = OperatorCase.pack(List.of(part), 0, TYPE);
                int slot = own.put(adapter);
                Assert.assertEquals(others.put(adapter), slot);
                Assert.assertEquals(answer(manager, jit, own), answer(manager, cuda, others));
            }
            Assert.assertEquals(
                    compiler.asked,
                    List.of(
                            "[-DDJL_LORA_RANK=8, -DDJL_LORA_HIDDEN=64]",
                            "[-DDJL_LORA_RANK=4, -DDJL_LORA_HIDDEN=64]"));
        }
    }

    private static float[] answer(NDManager manager, CudaBackend backend, AdapterTable table) {
        TensorOps ops = backend.getTensorOps(TYPE);
        float[] values = Backends.randomValues(new Random(1), 3 * 64, 1);
        NDArray x = Backends.array(manager, ops, TYPE, values, 3, 64);
        NDArray base = Backends.array(manager, ops, TYPE, new float[3 * 24], 3, 24);
        NDArray y = table.apply(0, x, base, null, BatchPlan.ofRows(0, -1, 0));
        return Backends.values(ops, y);
    }

    /** The emulated driver takes any image, and runs the kernels that it was built with. */
    private static final class Noting implements KernelCompiler {

        private final List<String> asked = new ArrayList<>();

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
            asked.add(options.toString());
            // as long as the header of machine code
            return Arrays.copyOf(".version 8.0".getBytes(StandardCharsets.US_ASCII), 64);
        }
    }
}
