/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.tensor.ElementType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/**
 * What is compiled when, and what the folder keeps, with a compiler that notes what it is asked.
 */
public class JitKernelsTest {

    private static final KernelShape SHAPE = new KernelShape(ElementType.BFLOAT16, 16, 4096);

    private Path folder;
    private Instant now;

    @BeforeMethod
    public void open() throws IOException {
        folder = Files.createTempDirectory("kernels");
        now = Instant.parse("2026-01-01T00:00:00Z");
    }

    @AfterMethod(alwaysRun = true)
    public void close() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private KernelStore store(long maxBytes) {
        return new KernelStore(folder, maxBytes, (InstantSource) () -> now);
    }

    @Test
    public void compilesOncePerShapeDeviceAndVersion() {
        Noting compiler = new Noting("12.6");
        JitKernels kernels = new JitKernels(compiler, store(1 << 20));
        byte[] code = kernels.get(SHAPE, 9, 0).code();
        Assert.assertEquals(kernels.get(SHAPE, 9, 0).code(), code);
        kernels.get(new KernelShape(ElementType.BFLOAT16, 32, 4096), 9, 0);
        kernels.get(new KernelShape(ElementType.BFLOAT16, 16, 2048), 9, 0);
        kernels.get(new KernelShape(ElementType.FLOAT16, 16, 4096), 9, 0);
        kernels.get(SHAPE, 8, 0);
        Assert.assertEquals(
                compiler.asked,
                List.of(
                        "sgmv_bf16.cu [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=4096] sm_90a",
                        "sgmv_bf16.cu [-DDJL_LORA_RANK=32, -DDJL_LORA_HIDDEN=4096] sm_90a",
                        "sgmv_bf16.cu [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=2048] sm_90a",
                        "sgmv_f16.cu [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=4096] sm_90a",
                        "sgmv_bf16.cu [-DDJL_LORA_RANK=16, -DDJL_LORA_HIDDEN=4096] sm_80"));
        Noting newer = new Noting("12.8");
        new JitKernels(newer, store(1 << 20)).get(SHAPE, 9, 0);
        Assert.assertEquals(newer.asked.size(), 1);
        Noting again = new Noting("12.6");
        new JitKernels(again, store(1 << 20)).get(SHAPE, 9, 0); // another process
        Assert.assertEquals(again.asked, List.of());
    }

    @Test
    public void damagedFilesAreCompiledAgain() throws IOException {
        Noting compiler = new Noting("12.6");
        JitKernels kernels = new JitKernels(compiler, store(1 << 20));
        byte[] code = kernels.get(SHAPE, 9, 0).code();
        Path file;
        try (Stream<Path> files = Files.list(folder)) {
            file = files.findFirst().orElseThrow();
        }
        byte[] whole = Files.readAllBytes(file);
        for (int length : new int[] {0, 31, 32, whole.length - 1}) {
            Files.write(file, Arrays.copyOf(whole, length));
            Assert.assertEquals(kernels.get(SHAPE, 9, 0).code(), code);
            Assert.assertEquals(Files.readAllBytes(file), whole);
        }
        whole[whole.length - 1] ^= 1;
        Files.write(file, whole);
        Assert.assertEquals(kernels.get(SHAPE, 9, 0).code(), code);
        Assert.assertEquals(compiler.asked.size(), 6);
    }

    @Test
    public void whatWasUsedTheLongestAgoGoesFirst() {
        KernelStore store = store(3 * (32 + 10));
        for (String key : List.of("a", "b", "c")) {
            store.put(key, new byte[10]);
            now = now.plusSeconds(1);
        }
        Assert.assertTrue(store.get("a").isPresent());
        now = now.plusSeconds(1);
        store.put("d", new byte[10]);
        Assert.assertTrue(store.get("a").isPresent());
        Assert.assertEquals(store.get("b"), Optional.empty());
        Assert.assertTrue(store.get("c").isPresent());
        Assert.assertTrue(store.get("d").isPresent());
        // one that is larger than the limit is kept alone
        now = now.plusSeconds(1);
        store.put("e", new byte[500]);
        Assert.assertTrue(store.get("e").isPresent());
        Assert.assertEquals(store.get("d"), Optional.empty());
    }

    @Test
    public void filesOfOthersStayAndAbandonedPartsGo() throws IOException {
        Path other = Files.writeString(folder.resolve("notes.txt"), "mine");
        Path fresh = Files.writeString(folder.resolve("x1.part"), "being written");
        Files.setLastModifiedTime(fresh, FileTime.from(now.minusSeconds(60)));
        Path abandoned = Files.writeString(folder.resolve("x2.part"), "left");
        Files.setLastModifiedTime(abandoned, FileTime.from(now.minusSeconds(7200)));
        store(1).put("a", new byte[10]);
        Assert.assertTrue(Files.exists(other));
        Assert.assertTrue(Files.exists(fresh));
        Assert.assertFalse(Files.exists(abandoned));
    }

    @Test
    public void aFolderThatCannotBeMadeCostsOnlyTheCompilation() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "no folder");
        Noting compiler = new Noting("12.6");
        JitKernels kernels =
                new JitKernels(
                        compiler,
                        new KernelStore(file.resolve("kernels"), 1 << 20, InstantSource.system()));
        Assert.assertEquals(kernels.get(SHAPE, 9, 0).code(), kernels.get(SHAPE, 9, 0).code());
        Assert.assertEquals(compiler.asked.size(), 2);
    }

    @Test
    public void keysAndLimitsAreChecked() {
        Assert.assertThrows(IllegalArgumentException.class, () -> store(0));
        Assert.assertThrows(IllegalArgumentException.class, () -> store(1).get("../a"));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new KernelShape(ElementType.FLOAT32, 16, 4096));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new KernelShape(ElementType.FLOAT16, 257, 4096));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new KernelShape(ElementType.FLOAT16, 0, 4096));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> new KernelShape(ElementType.FLOAT16, 16, 0));
    }

    @Test
    public void targetsAreTheDevicesOrOlder() {
        List<Integer> known = List.of(75, 80, 86, 89, 90);
        Assert.assertEquals(KernelTarget.of(8, 6, known).name(), "sm_86");
        Assert.assertEquals(KernelTarget.of(9, 0, known).name(), "sm_90a");
        Assert.assertEquals(KernelTarget.of(8, 7, known).name(), "compute_86");
        Assert.assertEquals(KernelTarget.of(10, 0, known).name(), "compute_90");
        Assert.assertTrue(KernelTarget.of(12, 0, known).isPtx());
        Assert.assertFalse(KernelTarget.of(9, 0, known).isPtx());
        LoraBackendException e =
                Assert.expectThrows(LoraBackendException.class, () -> KernelTarget.of(7, 0, known));
        Assert.assertEquals(
                e.getMessage(),
                "NVRTC compiles nothing for compute capability 7.0; it knows [75, 80, 86, 89, 90]");
    }

    @Test
    public void sourcesComeWithTheirHeaders() {
        KernelSource source = KernelSource.read(SHAPE.sourceName());
        Assert.assertTrue(source.text().contains("sgmv_decode_shrink_bf16"));
        Assert.assertTrue(
                source.headers().keySet().containsAll(List.of("abi.h", "platform.h")),
                source.headers().keySet().toString());
        Assert.assertEquals(KernelSource.read("self_test.cu").headers().size(), 0);
        Assert.assertThrows(IllegalArgumentException.class, () -> KernelSource.read("none.cu"));
    }

    /** Returns a text that says what it was asked. */
    private static final class Noting implements KernelCompiler {

        private final List<String> asked = new ArrayList<>();
        private final String version;

        Noting(String version) {
            this.version = version;
        }

        @Override
        public String version() {
            return version;
        }

        @Override
        public SortedSet<Integer> architectures() {
            return new TreeSet<>(List.of(80, 86, 89, 90));
        }

        @Override
        public byte[] compile(KernelSource source, List<String> options, KernelTarget target) {
            String request = source.name() + " " + options + " " + target.name();
            asked.add(request);
            return request.getBytes(StandardCharsets.UTF_8);
        }
    }
}
