/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.LoraBackendException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import jcuda.nvrtc.JNvrtc;
import jcuda.nvrtc.nvrtcProgram;
import jcuda.nvrtc.nvrtcResult;

/**
 * NVIDIA's run-time compiler, called through JCuda. It needs no GPU and no driver.
 *
 * <p>JCuda is an optional dependency: {@code org.jcuda:jcuda} and {@code org.jcuda:jcuda-natives}
 * of the platform must be on the class path, and {@code libnvrtc.so.12} where the system's loader
 * finds it or where {@code DJL_LORA_NVRTC} names it.
 */
public final class Nvrtc implements KernelCompiler {

    private static final String VARIABLE = "DJL_LORA_NVRTC";

    private final String version;
    private final SortedSet<Integer> architectures;

    private Nvrtc() {
        int[] major = new int[1];
        int[] minor = new int[1];
        check("nvrtcVersion", JNvrtc.nvrtcVersion(major, minor));
        version = major[0] + "." + minor[0];
        int[] count = new int[1];
        check("nvrtcGetNumSupportedArchs", JNvrtc.nvrtcGetNumSupportedArchs(count));
        int[] known = new int[count[0]];
        check("nvrtcGetSupportedArchs", JNvrtc.nvrtcGetSupportedArchs(known));
        SortedSet<Integer> all = new TreeSet<>();
        Arrays.stream(known).forEach(all::add);
        architectures = Collections.unmodifiableSortedSet(all);
    }

    /**
     * Loads the compiler that the environment variable {@code DJL_LORA_NVRTC} names, else the one
     * that the system's loader finds.
     *
     * @return the compiler
     * @throws LoraBackendException if it or JCuda is missing, with what to do
     */
    public static Nvrtc load() {
        String named = System.getenv(VARIABLE);
        return named == null || named.isBlank() ? start() : load(Path.of(named));
    }

    /**
     * Loads the compiler from a file.
     *
     * @param library the path of {@code libnvrtc.so.12}
     * @return the compiler
     * @throws LoraBackendException if it or JCuda is missing, with what to do
     */
    public static Nvrtc load(Path library) {
        if (!Files.isRegularFile(library)) {
            throw new LoraBackendException(
                    "NVRTC is not at " + library + "; name libnvrtc.so.12 by " + VARIABLE);
        }
        try {
            // JCuda's library needs it by its name, which then is the copy that is loaded
            System.load(library.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            throw new LoraBackendException(
                    "NVRTC at " + library + " cannot be loaded: " + e.getMessage(), e);
        }
        return start();
    }

    private static Nvrtc start() {
        try {
            return new Nvrtc();
        } catch (NoClassDefFoundError e) {
            throw new LoraBackendException(
                    "JCuda is not on the class path; add org.jcuda:jcuda and org.jcuda:jcuda-natives"
                            + " 12.6.0",
                    e);
        } catch (UnsatisfiedLinkError e) {
            throw new LoraBackendException(
                    "NVRTC cannot be used: no libnvrtc.so.12 was found, or JCuda's library does not"
                            + " load; name it by "
                            + VARIABLE,
                    e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public String version() {
        return version;
    }

    /** {@inheritDoc} */
    @Override
    public SortedSet<Integer> architectures() {
        return architectures;
    }

    /** {@inheritDoc} */
    @Override
    public byte[] compile(KernelSource source, List<String> options, KernelTarget target) {
        List<String> all = new ArrayList<>(List.of("--std=c++17", "-arch=" + target.name()));
        all.addAll(options);
        String[] names = source.headers().keySet().toArray(String[]::new);
        String[] texts = source.headers().values().toArray(String[]::new);
        nvrtcProgram program = new nvrtcProgram();
        check(
                "nvrtcCreateProgram",
                JNvrtc.nvrtcCreateProgram(
                        program, source.text(), source.name(), names.length, texts, names));
        try {
            int result =
                    JNvrtc.nvrtcCompileProgram(program, all.size(), all.toArray(String[]::new));
            if (result != nvrtcResult.NVRTC_SUCCESS) {
                throw new LoraBackendException(
                        "NVRTC "
                                + version
                                + " cannot compile "
                                + source.name()
                                + " for "
                                + target.name()
                                + ": "
                                + firstError(program, result));
            }
            return target.isPtx() ? ptx(program) : machineCode(program);
        } finally {
            JNvrtc.nvrtcDestroyProgram(program);
        }
    }

    private static byte[] machineCode(nvrtcProgram program) {
        long[] size = new long[1];
        check("nvrtcGetCUBINSize", JNvrtc.nvrtcGetCUBINSize(program, size));
        byte[] code = new byte[Math.toIntExact(size[0])];
        check("nvrtcGetCUBIN", JNvrtc.nvrtcGetCUBIN(program, code));
        return code;
    }

    private static byte[] ptx(nvrtcProgram program) {
        String[] text = new String[1];
        check("nvrtcGetPTX", JNvrtc.nvrtcGetPTX(program, text));
        return (text[0].replace("\0", "") + '\0').getBytes(StandardCharsets.US_ASCII);
    }

    private static String firstError(nvrtcProgram program, int result) {
        String[] log = new String[1];
        if (JNvrtc.nvrtcGetProgramLog(program, log) != nvrtcResult.NVRTC_SUCCESS) {
            return nvrtcResult.stringFor(result);
        }
        return log[0].lines()
                .filter(line -> line.contains("error"))
                .findFirst()
                .orElseGet(() -> nvrtcResult.stringFor(result))
                .replace("\0", "")
                .strip();
    }

    private static void check(String function, int result) {
        if (result != nvrtcResult.NVRTC_SUCCESS) {
            throw new LoraBackendException(function + " failed: " + nvrtcResult.stringFor(result));
        }
    }
}
