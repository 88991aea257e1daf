/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * An adapter as somebody gave it, in one form whatever its files are.
 *
 * <p>A source is a folder with {@code adapter_config.json} and {@code adapter_model.safetensors}
 * (or {@code adapter_model.safetensors.index.json} and the shards that it names, or {@code
 * adapter_model.bin}, whose pickle is read without running it), a zip or tar archive of such a
 * folder, with its files at the top or in one folder, a single safetensors file whose alphas are
 * tensors of it, a GGUF file that llama.cpp's converter wrote, or a {@link PackedFile}. Where PEFT
 * would look for more than one of these in a folder, they are looked for in PEFT's order.
 *
 * <p>Tensors are known by the names that PEFT gives them, without {@code base_model.model.} in
 * front and without an adapter's name inside: {@code <module>.lora_A.weight}, {@code
 * <module>.ia3_l}, {@code prompt_embeddings}, {@code base_model.vera_A}. What was changed is in
 * {@link #notes}. Opening reads what describes the tensors; their data is read when it is asked
 * for. Instances may be used by several threads at once.
 */
public final class AdapterFiles implements AutoCloseable {

    private static final String CONFIG = "adapter_config.json";
    private static final String STEM = "adapter_model";
    private static final String SAFETENSORS = ".safetensors";
    private static final String INDEX = SAFETENSORS + ".index.json";
    private static final String PICKLE = ".bin";
    private static final int MAX_CONFIG = 16 << 20;

    private final Path source;
    private final AdapterDirectory directory;
    private final TensorSource data;
    private final NormalisedTensors tensors;
    private final JsonObject config;
    private final List<String> notes;

    private AdapterFiles(
            Path source,
            AdapterDirectory directory,
            TensorSource data,
            NormalisedTensors tensors,
            JsonObject config,
            List<String> notes) {
        this.source = source;
        this.directory = directory;
        this.data = data;
        this.tensors = tensors;
        this.config = config;
        this.notes = List.copyOf(notes);
    }

    /**
     * Opens an adapter.
     *
     * @param source the folder or the file
     * @param limits how much it may ask for
     * @return the adapter, to be closed by the caller
     * @throws LoraConfigurationException if a file is missing, cannot be read, is not what it must
     *     be or asks for more than is allowed
     * @throws LoraVariantException if a GGUF file holds something other than a LoRA adapter
     */
    public static AdapterFiles open(Path source, FormatLimits limits) {
        return open(source, limits, Optional.empty());
    }

    /**
     * Opens an adapter with what is known of its base model.
     *
     * @param source the folder or the file
     * @param limits how much it may ask for
     * @param hints what some formats leave to the base model to say; others do not look at it
     * @return the adapter, to be closed by the caller
     * @throws LoraConfigurationException if a file is missing, cannot be read, is not what it must
     *     be or asks for more than is allowed
     * @throws LoraVariantException if a GGUF file holds something other than a LoRA adapter
     */
    public static AdapterFiles open(Path source, FormatLimits limits, FormatHints hints) {
        return open(source, limits, Optional.of(hints));
    }

    /**
     * Returns what the adapter was opened by.
     *
     * @return the folder or the file
     */
    public Path source() {
        return source;
    }

    /**
     * Returns where the adapter's files lie.
     *
     * @return the folder; of an archive the one that it was extracted to, which closing deletes; of
     *     a single file the one that it lies in
     */
    public Path directory() {
        return directory.path();
    }

    /**
     * Returns the adapter's configuration.
     *
     * @return a copy of {@code adapter_config.json}; where there is none, a LoRA configuration made
     *     of the alphas and ranks that the file itself gives
     */
    public JsonObject config() {
        return config.deepCopy();
    }

    /**
     * Returns a file beside the weights, such as {@code tokenizer.json}.
     *
     * @param name the file's name, without any folder
     * @return its path, empty where there is no such file
     * @throws IllegalArgumentException if the name is no plain file name
     * @throws LoraConfigurationException if the file is a link out of the folder, or no regular
     *     file
     */
    public Optional<Path> file(String name) {
        return directory.file(name);
    }

    /**
     * Returns what the tensors are.
     *
     * @return the tensors by their normalised names, which are also those of the descriptions, in
     *     the file's order, unmodifiable
     */
    public Map<String, TensorInfo> tensors() {
        return tensors.tensors();
    }

    /**
     * Reads a tensor into memory of its own.
     *
     * @param name the tensor's normalised name
     * @return its bytes, little endian, rows behind one another
     * @throws IllegalArgumentException if there is no such tensor
     * @throws LoraConfigurationException if the tensor has 2 GiB or more, or the file has become
     *     shorter since it was opened, or cannot be read
     */
    public byte[] read(String name) {
        return data.read(original(name));
    }

    /**
     * Hands a tensor's bytes on in pieces, in their order.
     *
     * @param name the tensor's normalised name
     * @param chunks takes read-only, little-endian buffers of at most 1 MiB, each valid during its
     *     call alone
     * @throws IllegalArgumentException if there is no such tensor
     * @throws LoraConfigurationException if the file has become shorter since it was opened, or
     *     cannot be read
     */
    public void stream(String name, Consumer<ByteBuffer> chunks) {
        data.stream(original(name), chunks);
    }

    /**
     * Returns how the file itself calls a tensor, for messages.
     *
     * @param name the tensor's normalised name
     * @return its name in the file
     * @throws IllegalArgumentException if there is no such tensor
     */
    public String originalName(String name) {
        return original(name).name();
    }

    /**
     * Returns how the file's tensors differ from what PEFT writes.
     *
     * @return what was normalised, one line each
     */
    public List<String> notes() {
        return notes;
    }

    /**
     * Returns the revision that the adapter's file states; only a packed file does.
     *
     * @return 64 hexadecimal digits, or empty
     */
    public Optional<String> statedRevision() {
        return data instanceof PackedFile packed
                ? Optional.of(packed.revision())
                : Optional.empty();
    }

    /**
     * Checks what the adapter's file states of itself as a whole, beyond what reading its tensors
     * checks: the SHA-256 of a packed file. Other forms state nothing.
     *
     * @throws LoraConfigurationException if the file is not what was written
     */
    public void verify() {
        if (data instanceof PackedFile packed) {
            packed.verify();
        }
    }

    /** Closes the files, and deletes those that were extracted from an archive. */
    @Override
    public void close() {
        data.close();
        directory.close();
    }

    private static AdapterFiles open(
            Path source, FormatLimits limits, Optional<FormatHints> hints) {
        if (Files.isDirectory(source)) {
            return openDirectory(source, new AdapterDirectory(source), limits);
        }
        String shown = Message.oneLine(source.toString());
        if (!Files.exists(source)) {
            throw new LoraConfigurationException(shown + ": there is no such file or directory");
        }
        Path absolute = source.toAbsolutePath();
        AdapterDirectory parent = AdapterDirectory.of(absolute);
        parent.check(absolute);
        String name = String.valueOf(absolute.getFileName());
        if (name.startsWith(STEM)) {
            throw new LoraConfigurationException(
                    shown + ": expected the adapter's folder, found one of its files");
        }
        if (name.endsWith(SAFETENSORS)) {
            String stem = name.substring(0, name.length() - SAFETENSORS.length());
            // the configuration beside a file that was given by itself may be another's
            return open(
                    source,
                    parent,
                    SafetensorsSource.open(parent, source, stem, limits),
                    Optional.empty());
        }
        try (DataChannel file = DataChannel.open(source)) {
            Archives kind = Archives.of(file);
            if (kind != Archives.NONE) {
                return openArchive(source, ExtractedArchive.extract(file, kind, limits), limits);
            }
            int magic = file.size() < 4 ? 0 : new ByteReader(file, 0, 4).i32();
            if (magic == (int) PackedFile.MAGIC) {
                return openPacked(source, parent, PackedFile.open(source, limits));
            }
            if (magic != GgufFile.MAGIC) {
                throw file.fail(
                        "expected a folder, a zip or tar archive of one, a safetensors file, a GGUF"
                                + " file or a packed adapter, found none of them");
            }
        }
        return openGguf(source, parent, GgufSource.open(source, limits, hints));
    }

    private static AdapterFiles openArchive(
            Path source, ExtractedArchive extracted, FormatLimits limits) {
        boolean opened = false;
        try {
            AdapterFiles files = openDirectory(source, new AdapterDirectory(extracted), limits);
            opened = true;
            return files;
        } catch (LoraConfigurationException e) {
            // the message names a file of the copy, which is gone when it is read
            throw new LoraConfigurationException(
                    Message.oneLine(source.toString()) + ": " + e.getMessage(), e);
        } finally {
            if (!opened) {
                extracted.close();
            }
        }
    }

    private static AdapterFiles openDirectory(
            Path source, AdapterDirectory directory, FormatLimits limits) {
        Optional<Path> config = directory.file(CONFIG);
        for (String name : List.of(STEM + SAFETENSORS, STEM + INDEX)) {
            Optional<Path> file = directory.file(name);
            if (file.isPresent()) {
                SafetensorsSource data =
                        SafetensorsSource.open(directory, file.get(), STEM, limits);
                return open(source, directory, data, config);
            }
        }
        Optional<Path> pickle = directory.file(STEM + PICKLE);
        if (pickle.isPresent()) {
            return open(source, directory, TorchSource.open(pickle.get(), limits), config);
        }
        throw new LoraConfigurationException(
                Message.oneLine(directory.path().toString())
                        + ": expected "
                        + STEM
                        + SAFETENSORS
                        + ", "
                        + STEM
                        + INDEX
                        + " or "
                        + STEM
                        + PICKLE
                        + ", found none of them");
    }

    private static AdapterFiles open(
            Path source, AdapterDirectory directory, TensorSource data, Optional<Path> config) {
        boolean opened = false;
        try {
            NormalisedTensors tensors = new NormalisedTensors(data, UnaryOperator.identity());
            AdapterFiles files =
                    new AdapterFiles(
                            source,
                            directory,
                            data,
                            tensors,
                            readConfig(data, tensors, config),
                            tensors.notes());
            opened = true;
            return files;
        } finally {
            if (!opened) {
                data.close();
            }
        }
    }

    private static AdapterFiles openGguf(Path source, AdapterDirectory directory, GgufSource data) {
        boolean opened = false;
        try {
            NormalisedTensors tensors = new NormalisedTensors(data, data::peftName);
            AdapterFiles files =
                    new AdapterFiles(
                            source, directory, data, tensors, data.toConfig(tensors), data.notes());
            opened = true;
            return files;
        } finally {
            if (!opened) {
                data.close();
            }
        }
    }

    private static AdapterFiles openPacked(
            Path source, AdapterDirectory directory, PackedFile data) {
        boolean opened = false;
        try {
            NormalisedTensors tensors = new NormalisedTensors(data, UnaryOperator.identity());
            new AlphaTensors(data, tensors).checkAgainst(data.config());
            // the names were normalised when the file was written
            AdapterFiles files =
                    new AdapterFiles(source, directory, data, tensors, data.config(), List.of());
            opened = true;
            return files;
        } finally {
            if (!opened) {
                data.close();
            }
        }
    }

    private static JsonObject readConfig(
            TensorSource data, NormalisedTensors tensors, Optional<Path> config) {
        AlphaTensors alphas = new AlphaTensors(data, tensors);
        if (config.isPresent()) {
            JsonObject read = StrictJson.readObject(config.get(), MAX_CONFIG);
            alphas.checkAgainst(read);
            return read;
        }
        if (tensors.alphas().isEmpty()) {
            throw new LoraConfigurationException(
                    Message.oneLine(data.path().toString())
                            + ": there is no "
                            + CONFIG
                            + ", and the file has no alphas to make one of");
        }
        return alphas.toConfig();
    }

    private TensorInfo original(String name) {
        TensorInfo tensor = tensors.originals().get(name);
        if (tensor == null) {
            throw new IllegalArgumentException(
                    Message.oneLine(source.toString()) + " has no tensor " + Message.quote(name));
        }
        return tensor;
    }
}
