/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** A golden adapter's folder, copied so that a test can spoil it. */
final class AdapterCopy implements AutoCloseable {

    /** The golden adapters of every kind, by architecture. */
    static final Path VARIANTS = Repository.GOLDENS.resolve("variants");

    private final Path scratch;

    /** Copies an adapter. */
    AdapterCopy(String architecture, String adapter) throws IOException {
        scratch = Files.createTempDirectory("adapter-copy");
        Path source = original(architecture, adapter);
        Files.createDirectory(folder());
        try (Stream<Path> files = Files.list(source)) {
            for (Path file : files.toList()) {
                Files.copy(file, folder().resolve(file.getFileName()));
            }
        }
    }

    /** Returns a golden adapter's own folder. */
    static Path original(String architecture, String adapter) {
        return VARIANTS.resolve(architecture).resolve("adapters").resolve(adapter);
    }

    /** Returns the base model of an architecture. */
    static Path base(String architecture) {
        return VARIANTS.resolve(architecture).resolve("base");
    }

    /** Returns the golden file of an adapter. */
    static Path golden(String architecture, String adapter) {
        return VARIANTS.resolve(architecture).resolve(adapter + ".safetensors");
    }

    /** Returns the copy. */
    Path folder() {
        return scratch.resolve("adapter");
    }

    /** Returns a path beside the copy, where nothing is yet. */
    Path beside(String name) {
        return scratch.resolve(name);
    }

    /** Returns the copy's weights. */
    Path weights() {
        return folder().resolve("adapter_model.safetensors");
    }

    /** Edits the configuration. */
    AdapterCopy edit(Consumer<JsonObject> edit) throws IOException {
        Path file = folder().resolve("adapter_config.json");
        JsonObject config = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        edit.accept(config);
        Files.writeString(file, config.toString());
        return this;
    }

    /** Renames a tensor. */
    AdapterCopy rename(String from, String to) throws IOException {
        TestTensors.editHeader(
                weights(), header -> header.replace('"' + from + '"', '"' + to + '"'));
        return this;
    }

    @Override
    public void close() throws IOException {
        List<Path> all;
        try (Stream<Path> files = Files.walk(scratch)) {
            all = files.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path file : all) {
            Files.delete(file);
        }
    }
}
