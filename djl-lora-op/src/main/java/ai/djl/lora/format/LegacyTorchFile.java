/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.json.Message;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A file that {@code torch.save} wrote before PyTorch 1.6, or with {@code
 * _use_new_zipfile_serialization=False}: five pickles behind one another (a magic number, the
 * format's version, facts of the machine, the state dict, the storages' keys), then for each key
 * the storage's count of elements in eight bytes and its bytes ({@code _legacy_save} in PyTorch's
 * {@code torch/serialization.py}).
 *
 * @param tensors the tensors by name
 * @param starts where each storage's bytes begin, by key
 */
record LegacyTorchFile(Map<String, TorchTensor> tensors, Map<String, Long> starts) {

    /** 0x1950a86a20f9469cfc6c. */
    private static final String MAGIC = "119547037146038801333356";

    private static final long VERSION = 1001;

    /** Reads and checks all but the storages' bytes. */
    static LegacyTorchFile read(DataChannel file, FormatLimits limits) {
        long end = Math.min(file.size(), limits.maxHeaderBytes());
        ByteReader header = new ByteReader(file, 0, end);
        TorchTensors torch = new TorchTensors(file);
        if (!(plain(file, header) instanceof PickleValue.Huge magic)
                || !magic.digits().equals(MAGIC)) {
            throw file.fail("expected a file that torch.save wrote, found another pickle");
        }
        if (!(plain(file, header) instanceof PickleValue.Whole version)
                || version.value() != VERSION) {
            throw file.fail("the format's version is not " + VERSION);
        }
        if (!(plain(file, header) instanceof PickleValue.Dict machine)
                || !(machine.items().get("little_endian") instanceof PickleValue.Bool little)
                || !little.value()) {
            throw file.fail("the file does not say that its numbers are little endian");
        }
        PickleValue state = new Unpickler(file, header, torch::storage).load();
        Map<String, TorchTensor> tensors = TorchTensors.stateDict(file, state);
        limits.checkCount(file.name(), tensors.size());
        if (!(plain(file, header) instanceof PickleValue.Items keys)) {
            throw file.fail("the list of the storages' keys is missing");
        }
        Map<String, Long> starts = locate(file, header.position(), keys.items(), torch.storages());
        return new LegacyTorchFile(tensors, starts);
    }

    /** Reads a pickle that has no storages. */
    private static PickleValue plain(DataChannel file, ByteReader in) {
        return new Unpickler(
                        file,
                        in,
                        id -> {
                            throw file.fail("a storage stands where none is expected");
                        })
                .load();
    }

    private static Map<String, Long> locate(
            DataChannel file,
            long start,
            List<PickleValue> keys,
            Map<String, TorchStorage> storages) {
        Map<String, Long> starts = new LinkedHashMap<>();
        ByteReader in = new ByteReader(file, start, file.size());
        for (PickleValue value : keys) {
            if (!(value instanceof PickleValue.Text key) || storages.get(key.value()) == null) {
                throw file.fail(
                        "the list of the storages' keys has "
                                + (value instanceof PickleValue.Text text
                                        ? Message.quote(text.value())
                                        : value.describe())
                                + ", which no tensor uses");
            }
            TorchStorage storage = storages.get(key.value());
            long count = in.i64();
            if (count != storage.count()) {
                throw file.fail(
                        "storage "
                                + Message.quote(storage.key())
                                + " has "
                                + count
                                + " elements, but the pickle says "
                                + storage.count());
            }
            if (starts.put(storage.key(), in.position()) != null) {
                throw file.fail(
                        "storage " + Message.quote(storage.key()) + " occurs twice in the file");
            }
            in.skip(count * storage.type().bytes());
        }
        for (String key : storages.keySet()) {
            if (!starts.containsKey(key)) {
                throw file.fail("storage " + Message.quote(key) + " is not in the file");
            }
        }
        if (in.remaining() > 0) {
            throw file.fail(in.remaining() + " bytes follow the last storage");
        }
        return starts;
    }
}
