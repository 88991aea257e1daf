/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * The access statistics on a disk: a snapshot of one record, written anew each time and put in the
 * old one's place in one step. They change with every request, and would be most of the log.
 */
final class StatisticsFile {

    private static final String NAME = "statistics.log";
    private static final String NEW_NAME = "statistics.log.new";

    private final Path directory;
    private final Path path;
    private final Path fresh;

    StatisticsFile(Path directory) {
        this.directory = directory;
        path = directory.resolve(NAME);
        fresh = directory.resolve(NEW_NAME);
    }

    /** Returns what was written last, nothing if nothing was. */
    List<AccessRecord> read() {
        if (Files.notExists(path)) {
            return List.of();
        }
        List<AccessRecord> records = new ArrayList<>();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
            RecordFile.End end =
                    new RecordFile(file)
                            .read((sequence, payload) -> records.addAll(decode(payload)));
            if (end.position() != file.length()) {
                throw new DamageException(end.position(), "bytes follow the snapshot");
            }
            return records;
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    name() + ": cannot be read: " + Message.oneLine(e.toString()), e);
        } catch (DamageException e) {
            throw new LoraConfigurationException(
                    name()
                            + ": "
                            + e.getMessage()
                            + "; delete the file to go on without access statistics",
                    e);
        }
    }

    /**
     * Writes a snapshot and waits until the disk has it.
     *
     * @throws LoraException if it cannot be written; the previous one is still there
     */
    void write(List<AccessRecord> records) {
        try {
            DurableFiles.write(fresh, 0, List.of(encode(records)).iterator()).close();
            DurableFiles.rename(fresh, path);
            DurableFiles.syncDirectory(directory);
        } catch (IOException e) {
            throw new LoraException(
                    name() + ": cannot be written: " + Message.oneLine(e.toString()), e);
        }
    }

    private String name() {
        return Message.oneLine(path.toString());
    }

    private static byte[] encode(List<AccessRecord> records) {
        JsonArray array = new JsonArray(records.size());
        for (AccessRecord record : records) {
            JsonObject object = new JsonObject();
            object.addProperty("name", record.name());
            object.addProperty("hits", record.hits());
            object.addProperty("misses", record.misses());
            record.lastUsed().ifPresent(time -> object.addProperty("used", time.toEpochMilli()));
            object.addProperty("frequency", record.frequency());
            object.addProperty("taken", record.taken().toEpochMilli());
            array.add(object);
        }
        JsonObject object = new JsonObject();
        object.add("statistics", array);
        return object.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static List<AccessRecord> decode(byte[] payload) {
        StoredFields fields = new StoredFields(ChangeCodec.parse(payload));
        List<AccessRecord> records =
                fields.children("statistics").stream().map(StatisticsFile::record).toList();
        fields.checkNoneLeft();
        return records;
    }

    private static AccessRecord record(StoredFields fields) {
        AccessRecord record =
                new AccessRecord(
                        fields.text("name"),
                        fields.whole("hits"),
                        fields.whole("misses"),
                        fields.optionalWhole("used").map(Instant::ofEpochMilli),
                        fields.real("frequency"),
                        Instant.ofEpochMilli(fields.whole("taken")));
        fields.checkNoneLeft();
        return record;
    }
}
