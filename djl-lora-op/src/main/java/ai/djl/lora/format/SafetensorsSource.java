/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/** The tensors of one safetensors file, or of the shards that an index names. */
final class SafetensorsSource implements TensorSource {

    private final Path path;
    private final SafetensorsFolder folder;
    private final Map<String, TensorInfo> tensors;

    private SafetensorsSource(Path path, SafetensorsFolder folder) {
        this.path = path;
        this.folder = folder;
        Map<String, TensorInfo> found = new LinkedHashMap<>();
        folder.names().forEach(name -> found.put(name, folder.tensor(name)));
        tensors = Collections.unmodifiableMap(found);
    }

    /**
     * Opens the tensors and checks every header.
     *
     * @param directory where the files lie
     * @param file the file, or the index
     * @param stem what its name begins with
     * @param limits how much it may ask for
     */
    static SafetensorsSource open(
            AdapterDirectory directory, Path file, String stem, FormatLimits limits) {
        SafetensorsFolder folder =
                SafetensorsFolder.open(directory.path(), stem, limits.maxHeaderBytes());
        boolean opened = false;
        try {
            SafetensorsSource source = new SafetensorsSource(file, folder);
            folder.names().stream().map(folder::fileOf).distinct().forEach(directory::check);
            limits.check(file, source.tensors.values());
            opened = true;
            return source;
        } finally {
            if (!opened) {
                folder.close();
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public Path path() {
        return path;
    }

    /** {@inheritDoc} */
    @Override
    public Map<String, TensorInfo> tensors() {
        return tensors;
    }

    /** {@inheritDoc} */
    @Override
    public byte[] read(TensorInfo tensor) {
        return folder.read(tensor.name());
    }

    /** {@inheritDoc} */
    @Override
    public void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks) {
        folder.stream(tensor.name(), chunks);
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        folder.close();
    }
}
