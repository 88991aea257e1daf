/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The tensors of a file that {@code torch.save} wrote, such as {@code adapter_model.bin}: a state
 * dict as a pickle, and the storages' bytes, in a zip archive or, before PyTorch 1.6, behind one
 * another.
 *
 * @see Unpickler
 */
final class TorchSource implements TensorSource {

    private static final int ZIP = 0x04034b50;
    private static final int PICKLE = 0x80;

    private final Path path;
    private final DataChannel file;
    private final Map<String, TorchTensor> views;
    private final Map<String, Long> starts;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

    private TorchSource(
            Path path, DataChannel file, Map<String, TorchTensor> views, Map<String, Long> starts) {
        this.path = path;
        this.file = file;
        this.views = views;
        this.starts = starts;
        views.forEach((name, view) -> tensors.put(name, describe(name, view)));
    }

    /**
     * Opens a file and checks what it says of its tensors.
     *
     * @param path the file
     * @param limits how much it may ask for
     */
    static TorchSource open(Path path, FormatLimits limits) {
        return open(path, DataChannel.open(path), limits);
    }

    /** Opens what a channel holds, which the source owns from then on, also when this fails. */
    static TorchSource open(Path path, DataChannel file, FormatLimits limits) {
        boolean opened = false;
        try {
            TorchSource source = read(path, file, limits);
            limits.check(path, source.tensors.values());
            source.checkExpansion(limits);
            opened = true;
            return source;
        } finally {
            if (!opened) {
                file.close();
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
        return Collections.unmodifiableMap(tensors);
    }

    /** {@inheritDoc} */
    @Override
    public byte[] read(TensorInfo tensor) {
        TorchTensor view = view(tensor);
        file.checkArray(tensor.size());
        if (view.isContiguous()) {
            return file.read(tensor.offset(), tensor.size());
        }
        byte[] region = file.read(tensor.offset(), view.span() * tensor.type().bytes());
        byte[] data = new byte[(int) tensor.size()];
        view.gather(region, data);
        return data;
    }

    /** {@inheritDoc} */
    @Override
    public void stream(TensorInfo tensor, Consumer<ByteBuffer> chunks) {
        if (view(tensor).isContiguous()) {
            file.stream(tensor.offset(), tensor.size(), chunks);
        } else {
            DataChannel.streamArray(read(tensor), chunks);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        file.close();
    }

    private static TorchSource read(Path path, DataChannel file, FormatLimits limits) {
        int magic = file.size() < 4 ? 0 : new ByteReader(file, 0, 4).i32();
        if (magic == ZIP) {
            TorchZip zip = TorchZip.read(file, limits);
            return new TorchSource(path, file, zip.tensors(), zip.starts());
        }
        if ((magic & 0xff) == PICKLE) {
            LegacyTorchFile legacy = LegacyTorchFile.read(file, limits);
            return new TorchSource(path, file, legacy.tensors(), legacy.starts());
        }
        throw file.fail("expected a zip archive or a pickle, as torch.save writes, found neither");
    }

    private TensorInfo describe(String name, TorchTensor view) {
        int width = view.storage().type().bytes();
        return new TensorInfo(
                name,
                view.storage().type(),
                view.shape(),
                starts.get(view.storage().key()) + view.offset() * width,
                view.count() * width);
    }

    /** Tensors may share a storage, as tied weights do; thousands of them may not. */
    private void checkExpansion(FormatLimits limits) {
        long total = tensors.values().stream().mapToLong(TensorInfo::size).sum();
        long allowed = limits.expanded(file.size());
        if (total > allowed) {
            throw file.fail(
                    "the tensors share storages so often that they have "
                            + total
                            + " bytes, allowed for a file of "
                            + file.size()
                            + " are "
                            + allowed);
        }
    }

    private TorchTensor view(TensorInfo tensor) {
        if (tensors.get(tensor.name()) != tensor) {
            throw new IllegalArgumentException(
                    "The tensor "
                            + tensor
                            + " is none of the file "
                            + Message.oneLine(path.toString()));
        }
        return views.get(tensor.name());
    }
}
