/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.json.Message;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;

/**
 * A file that {@code torch.save} writes since PyTorch 1.6: a zip archive without compression that
 * holds {@code <name>/data.pkl}, the state dict as a pickle, {@code <name>/byteorder}, and each
 * storage as {@code <name>/data/<key>}.
 *
 * @param tensors the tensors by name
 * @param starts where each storage's bytes begin in the file, by key
 */
record TorchZip(Map<String, TorchTensor> tensors, Map<String, Long> starts) {

    private static final String PICKLE = "data.pkl";
    private static final String DATA = "data/";
    private static final String BYTE_ORDER = "byteorder";

    /** TorchScript's archives have these beside a data.pkl: they are programs. */
    private static final String SCRIPT = "constants.pkl";

    /** What the archive's directory may take; an entry becomes several times as large in memory. */
    private static final int MAX_DIRECTORY = 1 << 24;

    /** Reads and checks all but the storages' bytes. */
    static TorchZip read(DataChannel file, FormatLimits limits) {
        Map<String, ZipArchiveEntry> entries =
                ZipEntries.read(file, Math.min(MAX_DIRECTORY, limits.maxHeaderBytes()));
        String folder = folder(file, entries);
        if (entries.containsKey(folder + SCRIPT)) {
            throw file.fail(
                    "found "
                            + SCRIPT
                            + ": this is a TorchScript program, expected tensors that torch.save"
                            + " wrote");
        }
        checkByteOrder(file, entries.get(folder + BYTE_ORDER));
        ZipArchiveEntry pickle = entries.get(folder + PICKLE);
        long start = ZipEntries.startOfStored(file, pickle);
        if (pickle.getSize() > limits.maxHeaderBytes()) {
            throw file.fail(
                    PICKLE
                            + " has "
                            + pickle.getSize()
                            + " bytes, allowed are "
                            + limits.maxHeaderBytes());
        }
        TorchTensors torch = new TorchTensors(file);
        ByteReader in = new ByteReader(file, start, start + pickle.getSize());
        PickleValue state = new Unpickler(file, in, torch::storage).load();
        if (in.remaining() > 0) {
            throw file.fail(in.remaining() + " bytes follow the pickle in " + PICKLE);
        }
        Map<String, TorchTensor> tensors = TorchTensors.stateDict(file, state);
        limits.checkCount(file.name(), tensors.size());
        Map<String, Long> starts = new LinkedHashMap<>();
        for (TorchStorage storage : torch.storages().values()) {
            String name = folder + DATA + storage.key();
            starts.put(storage.key(), start(file, name, entries.get(name), storage));
        }
        return new TorchZip(tensors, starts);
    }

    private static long start(
            DataChannel file, String name, ZipArchiveEntry entry, TorchStorage storage) {
        if (entry == null) {
            throw file.fail(
                    "storage " + Message.quote(name) + " is named by the pickle and missing");
        }
        long size = storage.count() * storage.type().bytes();
        if (entry.getSize() != size) {
            throw file.fail(
                    "storage "
                            + Message.quote(name)
                            + " has "
                            + entry.getSize()
                            + " bytes, but the pickle says "
                            + size);
        }
        return ZipEntries.startOfStored(file, entry);
    }

    /** Returns what stands before data.pkl in the names of all entries. */
    private static String folder(DataChannel file, Map<String, ZipArchiveEntry> entries) {
        String found = null;
        for (String name : entries.keySet()) {
            int slash = name.indexOf('/');
            if (slash > 0 && name.substring(slash + 1).equals(PICKLE)) {
                if (found != null) {
                    throw file.fail("the archive holds more than one " + PICKLE);
                }
                found = name.substring(0, slash + 1);
            }
        }
        if (found == null) {
            throw file.fail("the archive holds no " + PICKLE + ", as torch.save writes one");
        }
        return found;
    }

    private static void checkByteOrder(DataChannel file, ZipArchiveEntry entry) {
        // files of PyTorch before 2.1 have none
        if (entry == null) {
            return;
        }
        long start = ZipEntries.startOfStored(file, entry);
        String order =
                new String(
                        file.read(start, Math.min(16, entry.getSize())),
                        StandardCharsets.ISO_8859_1);
        if (!order.equals("little")) {
            throw file.fail("the byte order is " + Message.quote(order) + ", expected \"little\"");
        }
    }
}
