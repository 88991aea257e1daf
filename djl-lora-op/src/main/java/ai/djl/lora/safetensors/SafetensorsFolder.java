/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The weights in a directory as Hugging Face writes them: {@code model.safetensors}, or {@code
 * model.safetensors.index.json} and the files (shards) that its {@code weight_map} names; an
 * adapter's begin with {@code adapter_model}.
 *
 * <p>Where both exist, {@code model.safetensors} is read, as transformers does. An index must agree
 * with its shards in both directions: each tensor that it names lies in the shard that it names,
 * and each tensor of a shard is named.
 */
public final class SafetensorsFolder implements AutoCloseable {

    private static final String MODEL = "model";
    private static final String SINGLE = ".safetensors";
    private static final String INDEX = ".safetensors.index.json";

    /** Indices of the largest public models have a few megabytes. */
    private static final int MAX_INDEX = 100_000_000;

    private final Path directory;
    private final String stem;
    private final long maxHeader;
    private final Map<String, SafetensorsFile> files = new LinkedHashMap<>();
    private final Map<String, SafetensorsFile> fileOfTensor = new LinkedHashMap<>();

    private SafetensorsFolder(Path directory, String stem, long maxHeader) {
        this.directory = directory;
        this.stem = stem;
        this.maxHeader = maxHeader;
    }

    /**
     * Opens a model's weights in a directory and checks every file's header.
     *
     * @param directory the directory
     * @return the weights, to be closed by the caller
     * @throws LoraConfigurationException if there are none, or a file is wrong, or the index and
     *     the shards disagree
     */
    public static SafetensorsFolder open(Path directory) {
        return open(directory, MODEL, SafetensorsFile.MAX_HEADER);
    }

    /**
     * Opens the weights in a directory whose files' names begin with a stem of their own, and
     * checks every file's header.
     *
     * @param directory the directory
     * @param stem what stands before {@code .safetensors} and {@code .safetensors.index.json}, such
     *     as {@code adapter_model}
     * @param maxHeader how many bytes a file's header and the index may have
     * @return the weights, to be closed by the caller
     * @throws LoraConfigurationException if there are none, or a file is wrong, or the index and
     *     the shards disagree
     */
    public static SafetensorsFolder open(Path directory, String stem, long maxHeader) {
        SafetensorsFolder folder = new SafetensorsFolder(directory, stem, maxHeader);
        boolean opened = false;
        try {
            if (Files.exists(directory.resolve(stem + SINGLE))) {
                folder.openSingle();
            } else if (Files.exists(directory.resolve(stem + INDEX))) {
                folder.openShards();
            } else {
                throw new LoraConfigurationException(
                        Message.oneLine(directory.toString())
                                + ": expected "
                                + stem
                                + SINGLE
                                + " or "
                                + stem
                                + INDEX
                                + ", found neither");
            }
            opened = true;
            return folder;
        } finally {
            if (!opened) {
                folder.close();
            }
        }
    }

    /**
     * Returns the names of all tensors.
     *
     * @return the names, unmodifiable
     */
    public Set<String> names() {
        return Collections.unmodifiableSet(fileOfTensor.keySet());
    }

    /**
     * Returns a tensor's description.
     *
     * @param name the tensor's name
     * @return the description
     * @throws LoraConfigurationException if there is no such tensor
     */
    public TensorInfo tensor(String name) {
        return file(name).tensor(name);
    }

    /**
     * Maps a tensor into memory; see {@link SafetensorsFile#map}.
     *
     * @param name the tensor's name
     * @return a direct, read-only, little-endian buffer, valid after this folder is closed
     * @throws LoraConfigurationException if there is no such tensor or it cannot be mapped
     */
    public ByteBuffer map(String name) {
        SafetensorsFile file = file(name);
        return file.map(file.tensor(name));
    }

    /**
     * Reads a tensor into memory of its own; see {@link SafetensorsFile#read}.
     *
     * @param name the tensor's name
     * @return its bytes, little endian
     * @throws LoraConfigurationException if there is no such tensor or it cannot be read
     */
    public byte[] read(String name) {
        SafetensorsFile file = file(name);
        return file.read(file.tensor(name));
    }

    /**
     * Hands a tensor's bytes on in pieces; see {@link SafetensorsFile#stream}.
     *
     * @param name the tensor's name
     * @param chunks takes read-only, little-endian buffers of at most 1 MiB, each valid during its
     *     call alone
     * @throws LoraConfigurationException if there is no such tensor or it cannot be read
     */
    public void stream(String name, Consumer<ByteBuffer> chunks) {
        SafetensorsFile file = file(name);
        file.stream(file.tensor(name), chunks);
    }

    /**
     * Returns the file that holds a tensor.
     *
     * @param name the tensor's name
     * @return the file's path
     * @throws LoraConfigurationException if there is no such tensor
     */
    public Path fileOf(String name) {
        return file(name).path();
    }

    /** Closes every file. Buffers that were mapped stay valid. */
    @Override
    public void close() {
        files.values().forEach(SafetensorsFile::close);
    }

    private SafetensorsFile file(String name) {
        SafetensorsFile file = fileOfTensor.get(name);
        if (file == null) {
            throw new LoraConfigurationException(
                    Message.oneLine(directory.toString())
                            + ": there is no tensor "
                            + Message.quote(name)
                            + " among the "
                            + fileOfTensor.size()
                            + " of its safetensors files");
        }
        return file;
    }

    private void openSingle() {
        SafetensorsFile file = SafetensorsFile.open(directory.resolve(stem + SINGLE), maxHeader);
        files.put(stem + SINGLE, file);
        file.tensors().keySet().forEach(name -> fileOfTensor.put(name, file));
    }

    private void openShards() {
        Path index = directory.resolve(stem + INDEX);
        JsonObject json = StrictJson.readObject(index, (int) Math.min(MAX_INDEX, maxHeader));
        JsonElement map = json.get("weight_map");
        if (map == null || !map.isJsonObject()) {
            throw fail("weight_map must be an object of file names by tensor name");
        }
        for (Map.Entry<String, JsonElement> entry : map.getAsJsonObject().entrySet()) {
            String tensor = entry.getKey();
            SafetensorsFile file = shard(tensor, entry.getValue());
            if (!file.tensors().containsKey(tensor)) {
                throw fail(
                        "weight_map puts tensor "
                                + Message.quote(tensor)
                                + " into "
                                + file.path().getFileName()
                                + ", which does not hold it");
            }
            fileOfTensor.put(tensor, file);
        }
        checkNothingIsLeftOver();
    }

    private SafetensorsFile shard(String tensor, JsonElement value) {
        if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
            throw fail(
                    "weight_map must give a file name for tensor "
                            + Message.quote(tensor)
                            + ", found "
                            + Message.quote(value.toString()));
        }
        String name = value.getAsString();
        SafetensorsFile file = files.get(name);
        if (file == null) {
            Path path = directory.resolve(plainName(tensor, name));
            if (!Files.exists(path)) {
                throw fail(
                        "weight_map puts tensor "
                                + Message.quote(tensor)
                                + " into "
                                + Message.quote(name)
                                + ", but there is no such file");
            }
            file = SafetensorsFile.open(path, maxHeader);
            files.put(name, file);
        }
        return file;
    }

    /** Returns the name of a file that lies in the directory itself, as all published shards do. */
    private String plainName(String tensor, String name) {
        boolean plain;
        try {
            plain =
                    !name.isEmpty()
                            && !".".equals(name)
                            && !"..".equals(name)
                            && name.indexOf('/') < 0
                            && name.indexOf('\\') < 0
                            && Path.of(name).getNameCount() == 1
                            && !Path.of(name).isAbsolute();
        } catch (InvalidPathException e) {
            plain = false;
        }
        if (!plain) {
            throw fail(
                    "weight_map must name a file in the same directory for tensor "
                            + Message.quote(tensor)
                            + ", found "
                            + Message.quote(name));
        }
        return name;
    }

    private void checkNothingIsLeftOver() {
        for (SafetensorsFile file : files.values()) {
            for (String tensor : file.tensors().keySet()) {
                SafetensorsFile indexed = fileOfTensor.get(tensor);
                if (indexed != file) {
                    throw fail(
                            "tensor "
                                    + Message.quote(tensor)
                                    + " lies in "
                                    + file.path().getFileName()
                                    + ", but weight_map "
                                    + (indexed == null
                                            ? "does not name it"
                                            : "puts it into " + indexed.path().getFileName()));
                }
            }
        }
    }

    private LoraConfigurationException fail(String what) {
        return new LoraConfigurationException(
                Message.oneLine(directory.resolve(stem + INDEX).toString()) + ": " + what);
    }
}
