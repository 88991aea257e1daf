/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.nn.LoraBlockFactory;
import ai.djl.util.Hex;
import ai.djl.util.Utils;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The small real model and its adapters that come with this project, as folders.
 *
 * <p>They are packed into the jar. At first use they are written to DJL's cache directory, under a
 * name with the hash of their content, and stay there.
 */
public final class DemoModel {

    private static final String RESOURCES = "demo";
    private static final String BASE = "base";
    private static final String ADAPTER_CONFIG = "adapter_config.json";

    private final Path folder;

    private DemoModel(Path folder) {
        this.folder = folder;
    }

    /**
     * Returns whether this build comes with the demo model.
     *
     * @return whether it is there
     */
    public static boolean isPackaged() {
        return DemoModel.class.getResource(RESOURCES + '/' + BASE + "/config.json") != null;
    }

    /**
     * Returns the demo model, which is written to DJL's cache directory if it is not there yet.
     *
     * @return the model
     * @throws LoraConfigurationException if this build has none, or it cannot be written
     */
    public static DemoModel extract() {
        URL resources = DemoModel.class.getResource(RESOURCES);
        if (!isPackaged() || resources == null) {
            throw new LoraConfigurationException("This build does not come with the demo model");
        }
        try {
            URI uri = resources.toURI();
            if (!"jar".equals(uri.getScheme())) {
                return new DemoModel(extract(Path.of(uri)));
            }
            String[] parts = uri.toString().split("!", 2);
            Path jar = Path.of(URI.create(parts[0].substring("jar:".length())));
            try (FileSystem files = FileSystems.newFileSystem(jar)) {
                return new DemoModel(extract(files.getPath(parts[1])));
            }
        } catch (IOException | URISyntaxException e) {
            throw new LoraConfigurationException(
                    "The demo model cannot be written to " + Utils.getCacheDir() + ": " + e, e);
        }
    }

    /**
     * Returns the folder of the base model.
     *
     * @return the folder
     */
    public Path baseFolder() {
        return folder.resolve(BASE);
    }

    /**
     * Returns the adapters' folders by the adapters' names.
     *
     * @return the folders, sorted by name
     */
    public Map<String, Path> adapters() {
        try (Stream<Path> folders = Files.list(folder)) {
            Map<String, Path> adapters = new TreeMap<>();
            folders.filter(path -> Files.exists(path.resolve(ADAPTER_CONFIG)))
                    .forEach(path -> adapters.put(String.valueOf(path.getFileName()), path));
            return Collections.unmodifiableMap(adapters);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    folder + ": the demo model's adapters cannot be listed: " + e, e);
        }
    }

    Map<String, String> adaptersArgument() {
        String adapters =
                adapters().entrySet().stream()
                        .map(adapter -> adapter.getKey() + '=' + adapter.getValue())
                        .collect(Collectors.joining(","));
        return Map.of(LoraBlockFactory.ADAPTERS, adapters);
    }

    private static Path extract(Path source) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(source)) {
            files = all.filter(Files::isRegularFile).sorted().collect(Collectors.toList());
        }
        Path parent = Utils.getCacheDir().resolve("djl-lora");
        Path target = parent.resolve("demo-" + hash(source, files));
        if (!Files.isDirectory(target)) {
            Files.createDirectories(parent);
            Path partial = Files.createTempDirectory(parent, "demo-");
            try {
                for (Path file : files) {
                    Path copy = partial.resolve(source.relativize(file).toString());
                    Files.createDirectories(Objects.requireNonNull(copy.getParent()));
                    Files.copy(file, copy);
                }
                // in one move, so that what is there is whole
                Utils.moveQuietly(partial, target);
            } finally {
                Utils.deleteQuietly(partial);
            }
        }
        return target;
    }

    private static String hash(Path source, List<Path> files) throws IOException {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path file : files) {
                String name = source.relativize(file).toString().replace('\\', '/');
                byte[] content = Files.readAllBytes(file);
                digest.update(
                        (name + '\n' + content.length + '\n').getBytes(StandardCharsets.UTF_8));
                digest.update(content);
            }
            return Hex.toHexString(digest.digest()).substring(0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("Every Java runtime has SHA-256", e);
        }
    }
}
