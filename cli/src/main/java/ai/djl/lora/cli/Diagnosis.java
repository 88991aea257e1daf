/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.engine.Engine;
import ai.djl.lora.jni.CudaStatus;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.op.BackendStatus;
import ai.djl.lora.op.LoraBackends;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.pytorch.jni.LibUtils;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What this machine and this installation offer, told part by part.
 *
 * <p>A part that is missing or broken is told as such and keeps no other from being told.
 */
final class Diagnosis {

    private static final Path CPU_INFO = Path.of("/proc/cpuinfo");
    private static final Pattern CPU_FEATURE =
            Pattern.compile(
                    "avx|avx2|fma|f16c|avx512(f|bw|dq|vl|_bf16|_vnni)|amx_.*|asimd.*|sve.*|bf16");

    private final Map<String, String> parts = new LinkedHashMap<>();

    /** Constructs a new {@code Diagnosis} instance of this process. */
    Diagnosis() {
        tell("djl-lora", ManifestVersion::version);
        tell(
                "java",
                () ->
                        System.getProperty("java.version")
                                + " ("
                                + System.getProperty("java.vendor")
                                + "), "
                                + System.getProperty("java.home"));
        tell("system", () -> System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        tell("cpu", () -> cpuInfo("model name", value -> true));
        tell("cpu features", Diagnosis::cpuFeatures);
        tell(
                "djl",
                () ->
                        Engine.getDjlVersion()
                                + (Boolean.getBoolean("ai.djl.offline") ? ", offline" : ""));
        tell(
                "libtorch",
                () -> Engine.getEngine("PyTorch").getVersion() + ", " + LibUtils.getLibtorchPath());
        tell(
                "threads",
                () -> {
                    Engine.getEngine("PyTorch");
                    return JniUtils.getNumThreads()
                            + " in an operator, "
                            + Runtime.getRuntime().availableProcessors()
                            + " processors";
                });
        tell("gpu", () -> cuda().devices());
        tell("native library", Diagnosis::nativeLibrary);
        tell("cuda kernels", () -> cuda().kernels());
        tell("cuda libtorch", () -> cuda().libtorch());
        tell("backends", Diagnosis::backends);
        tell("backend chosen", Diagnosis::chosen);
    }

    /**
     * Returns what was found.
     *
     * @return the parts by name, in the order to tell them
     */
    Map<String, String> parts() {
        return parts;
    }

    private void tell(String name, Part part) {
        String text;
        try {
            text = part.tell();
        } catch (Exception | LinkageError e) {
            text = "not available: " + rootOf(e);
        }
        parts.put(name, text.strip().replaceAll("\\s*\\R\\s*", "; "));
    }

    private static Throwable rootOf(Throwable e) {
        Throwable root = e;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        return root;
    }

    private static String cpuInfo(String key, Predicate<String> wanted) throws IOException {
        if (!Files.isReadable(CPU_INFO)) {
            return "not known, there is no " + CPU_INFO;
        }
        try (var lines = Files.lines(CPU_INFO, StandardCharsets.UTF_8)) {
            return lines.filter(line -> line.startsWith(key))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip())
                    .filter(wanted)
                    .findFirst()
                    .orElse("not named by " + CPU_INFO);
        }
    }

    private static String cpuFeatures() throws IOException {
        boolean arm = "aarch64".equals(System.getProperty("os.arch"));
        String flags = cpuInfo(arm ? "Features" : "flags", value -> true);
        String known =
                Arrays.stream(flags.split(" "))
                        .filter(flag -> CPU_FEATURE.matcher(flag).matches())
                        .collect(Collectors.joining(" "));
        return known.isEmpty() ? "none of those that matter here" : known;
    }

    private static CudaDiagnosis cuda() {
        return new CudaDiagnosis(CudaStatus.read(), CudaStatus::selfTest);
    }

    private static String nativeLibrary() {
        return LoraLibrary.isAvailable()
                ? LoraNative.version() + ", " + LoraLibrary.path()
                : "not available: " + LoraLibrary.unavailableReason();
    }

    private static String backends() {
        return LoraBackends.list().stream()
                .map(
                        status ->
                                status.name()
                                        + (status.available() ? "" : " (not available)")
                                        + ": "
                                        + status.reason())
                .collect(Collectors.joining("\n"));
    }

    private static String chosen() {
        List<BackendStatus> all = LoraBackends.list();
        String name = LoraBackends.choose(null).getName();
        return all.get(0).name().equals(name)
                ? name + ", the first in the order of preference"
                : name + ", since " + all.get(0).name() + " is not available";
    }

    /** Tells of one part. */
    @FunctionalInterface
    private interface Part {

        String tell() throws IOException;
    }
}
