/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.util.Utils;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Properties;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds and loads the native library.
 *
 * <p>The library is the file that the system property {@code ai.djl.lora.library} or the
 * environment variable {@code DJL_LORA_LIBRARY} names, else the one that this jar carries for the
 * platform. The jar's is copied to DJL's cache directory, into a folder named by version and
 * content, so that versions do not overwrite each other; a copy there that is damaged is replaced.
 *
 * <p>The system property {@code ai.djl.lora.native} or the environment variable {@code
 * DJL_LORA_NATIVE}, set to {@code off}, keeps the library from being loaded at all.
 */
public final class LoraLibrary {

    private static final Logger logger = LoggerFactory.getLogger(LoraLibrary.class);

    private static final String PROPERTIES = "/native/lib/djl_lora.properties";
    private static final String LIBRARY_PROPERTY = "ai.djl.lora.library";
    private static final String LIBRARY_VARIABLE = "DJL_LORA_LIBRARY";
    private static final String NATIVE_PROPERTY = "ai.djl.lora.native";
    private static final String NATIVE_VARIABLE = "DJL_LORA_NATIVE";
    private static final String HASH_PREFIX = "sha256.";

    private static boolean loaded;
    private static Path location;
    private static EngineException failure;

    private LoraLibrary() {}

    /**
     * Loads the PyTorch engine and then the library, unless that was done before.
     *
     * @throws EngineException if the library cannot be used, with the reason and what to do; the
     *     same again on every later call
     */
    public static synchronized void load() {
        if (loaded) {
            return;
        }
        if (failure != null) {
            throw new EngineException(failure.getMessage(), failure);
        }
        try {
            loadLibrary();
            loaded = true;
        } catch (EngineException e) {
            failure = e;
            throw e;
        } catch (UnsatisfiedLinkError | RuntimeException e) {
            failure =
                    new EngineException(
                            "The native library of djl-lora cannot be used: " + e.getMessage(), e);
            throw failure;
        }
    }

    /**
     * Returns whether the library can be used, loading it if that was not tried before.
     *
     * @return whether it is loaded
     */
    public static boolean isAvailable() {
        return unavailableReason() == null;
    }

    /**
     * Returns why the library cannot be used, loading it if that was not tried before.
     *
     * @return the reason, or null if it is loaded
     */
    public static synchronized String unavailableReason() {
        try {
            load();
            return null;
        } catch (EngineException e) {
            return e.getMessage();
        }
    }

    /**
     * Returns the file that the library was loaded from, loading it if that was not tried before.
     *
     * @return the file
     * @throws EngineException if the library cannot be used, with the reason and what to do
     */
    public static synchronized Path path() {
        load();
        return location;
    }

    /**
     * Returns the version that the Java side belongs to, and that the library must have.
     *
     * @return the version
     * @throws EngineException if the jar is not whole
     */
    public static String expectedVersion() {
        return properties().getProperty("version");
    }

    private static void loadLibrary() {
        String choice = setting(NATIVE_PROPERTY, NATIVE_VARIABLE);
        if (choice != null && "off".equals(choice.toLowerCase(Locale.ROOT))) {
            throw new EngineException(
                    "The native library of djl-lora is switched off (system property "
                            + NATIVE_PROPERTY
                            + " or environment variable "
                            + NATIVE_VARIABLE
                            + " is off); unset it to use the library");
        }
        Properties properties = properties();
        Path path = find(properties);
        // libdjl_lora.so needs libtorch_cpu.so by name, which resolves to the copy that is loaded
        try {
            Engine.getEngine("PyTorch");
        } catch (EngineException | IllegalArgumentException e) {
            throw new EngineException(
                    "The native library of djl-lora needs DJL's PyTorch engine, which cannot be loaded ("
                            + e.getMessage()
                            + "); add ai.djl.pytorch:pytorch-engine, pytorch-jni and a"
                            + " pytorch-native jar to the class path",
                    e);
        }
        try {
            System.load(path.toString());
        } catch (UnsatisfiedLinkError e) {
            throw new EngineException(
                    "The native library of djl-lora at "
                            + path
                            + " cannot be loaded: "
                            + e.getMessage()
                            + "; it needs libtorch 2.7 or later, glibc 2.17 or later, and one copy of this"
                            + " library in the process",
                    e);
        }
        String expected = properties.getProperty("version");
        String description = LoraNative.version();
        String actual = description.split(" ", 2)[0];
        if (!expected.equals(actual)) {
            throw new EngineException(
                    "The native library of djl-lora at "
                            + path
                            + " is version "
                            + actual
                            + ", but the jar is version "
                            + expected
                            + "; unset "
                            + LIBRARY_PROPERTY
                            + " and "
                            + LIBRARY_VARIABLE
                            + ", or name a library of the jar's version");
        }
        logger.debug("Loaded {}: {}", path, description);
        location = path;
    }

    private static Path find(Properties properties) {
        String explicit = setting(LIBRARY_PROPERTY, LIBRARY_VARIABLE);
        if (explicit != null) {
            Path path = Paths.get(explicit).toAbsolutePath();
            if (!Files.isRegularFile(path)) {
                throw new EngineException(
                        "The native library of djl-lora is not at "
                                + path
                                + ", which the system property "
                                + LIBRARY_PROPERTY
                                + " or the environment variable "
                                + LIBRARY_VARIABLE
                                + " names; correct or unset it");
            }
            return path;
        }
        String platform = platform();
        String hash = properties.getProperty(HASH_PREFIX + platform);
        if (hash == null) {
            String bundled =
                    new TreeSet<>(properties.stringPropertyNames())
                            .stream()
                                    .filter(name -> name.startsWith(HASH_PREFIX))
                                    .map(name -> name.substring(HASH_PREFIX.length()))
                                    .collect(Collectors.joining(", "));
            throw new EngineException(
                    "The native library of djl-lora is not in the jar for "
                            + platform
                            + " (the jar has "
                            + (bundled.isEmpty() ? "none" : bundled)
                            + "); build native-op on this platform, or name a library with the"
                            + " system property "
                            + LIBRARY_PROPERTY);
        }
        return extract(properties.getProperty("version"), platform, hash);
    }

    private static Path extract(String version, String platform, String hash) {
        String name = System.mapLibraryName("djl_lora");
        String resource = "/native/lib/" + platform + '/' + name;
        Path folder =
                Utils.getEngineCacheDir("djl_lora")
                        .resolve(version + '-' + hash.substring(0, 16))
                        .toAbsolutePath();
        Path target = folder.resolve(name);
        Path temporary = null;
        try {
            if (Files.isRegularFile(target)) {
                if (hash.equals(sha256(target))) {
                    return target;
                }
                logger.warn("{} is damaged and is replaced", target);
            }
            Files.createDirectories(folder);
            temporary = Files.createTempFile(folder, name, ".tmp");
            try (InputStream in = LoraLibrary.class.getResourceAsStream(resource)) {
                if (in == null) {
                    throw new EngineException(
                            "The native library of djl-lora is missing from the jar ("
                                    + resource
                                    + "); the jar is not whole, fetch or build it again");
                }
                Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
            }
            String found = sha256(temporary);
            if (!hash.equals(found)) {
                throw new EngineException(
                        "The native library of djl-lora in the jar ("
                                + resource
                                + ") has SHA-256 "
                                + found
                                + " instead of "
                                + hash
                                + "; the jar is damaged, fetch or build it again");
            }
            move(temporary, target);
            return target;
        } catch (IOException e) {
            throw new EngineException(
                    "The native library of djl-lora cannot be copied to "
                            + folder
                            + " ("
                            + e
                            + "); make it writable, set DJL_CACHE_DIR or ENGINE_CACHE_DIR to a"
                            + " folder that is, or name a library with the system property "
                            + LIBRARY_PROPERTY,
                    e);
        } finally {
            if (temporary != null) {
                Utils.deleteQuietly(temporary);
            }
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static String sha256(Path path) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("Every Java platform has SHA-256", e);
        }
        try (InputStream in = new DigestInputStream(Files.newInputStream(path), digest)) {
            byte[] buffer = new byte[1 << 16];
            while (in.read(buffer) >= 0) {
                // the digest sees what is read
                continue;
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static Properties properties() {
        Properties properties = new Properties();
        try (InputStream in = LoraLibrary.class.getResourceAsStream(PROPERTIES)) {
            if (in == null) {
                throw new EngineException(
                        "The jar of djl-lora's native library has no " + PROPERTIES);
            }
            properties.load(in);
        } catch (IOException e) {
            throw new EngineException("Cannot read " + PROPERTIES, e);
        }
        return properties;
    }

    private static String platform() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
        String osName = os.startsWith("mac") ? "osx" : os.startsWith("win") ? "win" : os;
        String archName = "amd64".equals(arch) ? "x86_64" : arch;
        return osName + '-' + archName;
    }

    private static String setting(String property, String variable) {
        String value = System.getProperty(property);
        if (value == null || value.isBlank()) {
            value = System.getenv(variable);
        }
        return value == null || value.isBlank() ? null : value.trim();
    }
}
