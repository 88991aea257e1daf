/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.LoraBackendException;
import ai.djl.util.Utils;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * SGMV kernels compiled for one rank, hidden size, type and device, from the disk where they were
 * compiled before.
 *
 * <p>What is compiled is named by the SHA-256 of everything that it depends on: the source with its
 * headers, the options, the target, and the compiler's version.
 */
public final class JitKernels {

    private static final long DEFAULT_BYTES = 256L << 20;

    private final KernelCompiler compiler;
    private final KernelStore store;

    /**
     * Constructs a new {@code JitKernels} instance.
     *
     * @param compiler compiles what is not stored
     * @param store where results are kept
     */
    public JitKernels(KernelCompiler compiler, KernelStore store) {
        this.compiler = compiler;
        this.store = store;
    }

    /**
     * Returns the kernels of a compiler in the default folder, {@code djl_lora/kernels} of DJL's
     * cache directory, of at most 256 MiB.
     *
     * @param compiler compiles what is not stored
     * @return the kernels
     */
    public static JitKernels inDefaultFolder(KernelCompiler compiler) {
        Path folder = Utils.getEngineCacheDir("djl_lora").resolve("kernels");
        return new JitKernels(
                compiler, new KernelStore(folder, DEFAULT_BYTES, InstantSource.system()));
    }

    /**
     * Returns kernels, compiling them if they are not stored.
     *
     * @param shape what they are for
     * @param major the major version of the device's compute capability
     * @param minor the minor version of the device's compute capability
     * @return the compiled kernels
     * @throws LoraBackendException if they do not compile, or the compiler knows nothing that the
     *     device runs
     */
    public CompiledKernels get(KernelShape shape, int major, int minor) {
        return get(shape.sourceName(), shape.options(), major, minor);
    }

    /**
     * Returns kernels of any shape, compiling them if they are not stored.
     *
     * @param sourceName the file that holds them, such as {@code layers_bf16.cu}
     * @param major the major version of the device's compute capability
     * @param minor the minor version of the device's compute capability
     * @return the compiled kernels
     * @throws LoraBackendException if they do not compile, or the compiler knows nothing that the
     *     device runs
     */
    public CompiledKernels get(String sourceName, int major, int minor) {
        return get(sourceName, List.of(), major, minor);
    }

    private CompiledKernels get(String sourceName, List<String> options, int major, int minor) {
        KernelTarget target = KernelTarget.of(major, minor, compiler.architectures());
        KernelSource source = KernelSource.read(sourceName);
        String key = key(source, options, target);
        byte[] code =
                store.get(key)
                        .orElseGet(
                                () -> {
                                    byte[] fresh = compiler.compile(source, options, target);
                                    store.put(key, fresh);
                                    return fresh;
                                });
        return new CompiledKernels(target, code);
    }

    private String key(KernelSource source, List<String> options, KernelTarget target) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
        add(digest, compiler.version());
        add(digest, target.name());
        add(digest, source.name());
        add(digest, source.text());
        for (Map.Entry<String, String> header : source.headers().entrySet()) {
            add(digest, header.getKey());
            add(digest, header.getValue());
        }
        options.forEach(option -> add(digest, option));
        return HexFormat.of().formatHex(digest.digest());
    }

    /** With its length, so that no two lists of texts are alike. */
    private static void add(MessageDigest digest, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
        digest.update(bytes);
    }

    /**
     * Compiled kernels, to be loaded by the driver ({@code cuModuleLoadData}).
     *
     * @param target what they were compiled for
     * @param code machine code, or PTX with a zero behind it; not copied
     */
    public record CompiledKernels(KernelTarget target, byte[] code) {}
}
