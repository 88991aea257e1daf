/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.registry.RegistryChange.PutAdapter;
import ai.djl.lora.registry.RegistryChange.PutAlias;
import ai.djl.lora.registry.RegistryChange.RemoveAdapter;
import ai.djl.lora.registry.RegistryChange.RemoveAlias;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;

/**
 * Changes as JSON: {@code {"changes": [{"put": {...}}, {"remove": name}, {"alias": name, "target":
 * name}, {"unalias": name}]}}. A field that this version does not know is refused, since a newer
 * version may have meant something by it.
 */
final class ChangeCodec {

    private ChangeCodec() {}

    static byte[] encode(List<RegistryChange> changes) {
        JsonArray array = new JsonArray(changes.size());
        changes.forEach(change -> array.add(toJson(change)));
        JsonObject object = new JsonObject();
        object.add("changes", array);
        return object.toString().getBytes(StandardCharsets.UTF_8);
    }

    /**
     * Returns the changes that were encoded.
     *
     * @throws LoraConfigurationException or IllegalArgumentException if they were not encoded by
     *     this version
     */
    static List<RegistryChange> decode(byte[] payload) {
        StoredFields fields = new StoredFields(parse(payload));
        List<RegistryChange> changes = new ArrayList<>();
        fields.children("changes").forEach(change -> changes.add(fromJson(change)));
        fields.checkNoneLeft();
        return changes;
    }

    static JsonObject parse(byte[] payload) {
        try {
            return StrictJson.parseObject(StrictJson.decode(ByteBuffer.wrap(payload)), "record");
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException("the record is not UTF-8", e);
        }
    }

    private static JsonObject toJson(RegistryChange change) {
        JsonObject object = new JsonObject();
        if (change instanceof PutAdapter put) {
            object.add("put", toJson(put.adapter()));
        } else if (change instanceof RemoveAdapter remove) {
            object.addProperty("remove", remove.name());
        } else if (change instanceof PutAlias put) {
            object.addProperty("alias", put.alias());
            object.addProperty("target", put.target());
        } else if (change instanceof RemoveAlias remove) {
            object.addProperty("unalias", remove.alias());
        }
        return object;
    }

    private static RegistryChange fromJson(StoredFields fields) {
        RegistryChange change;
        if (fields.has("put")) {
            change = new PutAdapter(adapter(fields.child("put")));
        } else if (fields.has("remove")) {
            change = new RemoveAdapter(fields.text("remove"));
        } else if (fields.has("alias")) {
            change = new PutAlias(fields.text("alias"), fields.text("target"));
        } else {
            change = new RemoveAlias(fields.text("unalias"));
        }
        fields.checkNoneLeft();
        return change;
    }

    private static JsonObject toJson(RegisteredAdapter adapter) {
        JsonObject object = new JsonObject();
        object.addProperty("name", adapter.name());
        adapter.tenant().ifPresent(tenant -> object.addProperty("tenant", tenant));
        object.addProperty("priority", adapter.priority());
        object.addProperty("pinned", adapter.pinned());
        object.addProperty("retired", adapter.retired());
        object.addProperty("current", adapter.currentIndex());
        JsonArray revisions = new JsonArray(adapter.revisions().size());
        adapter.revisions().forEach(revision -> revisions.add(toJson(revision)));
        object.add("revisions", revisions);
        adapter.canary().ifPresent(canary -> object.add("canary", toJson(canary)));
        return object;
    }

    private static RegisteredAdapter adapter(StoredFields fields) {
        RegisteredAdapter adapter =
                new RegisteredAdapter(
                        fields.text("name"),
                        fields.children("revisions").stream().map(ChangeCodec::revision).toList(),
                        index(fields.whole("current")),
                        fields.real("priority"),
                        fields.optionalText("tenant"),
                        fields.flag("pinned"),
                        fields.flag("retired"),
                        fields.has("canary")
                                ? Optional.of(canary(fields.child("canary")))
                                : Optional.empty());
        fields.checkNoneLeft();
        return adapter;
    }

    private static int index(long value) {
        if (value != (int) value) {
            throw new IllegalArgumentException("there is no revision " + value);
        }
        return (int) value;
    }

    private static JsonObject toJson(RegisteredCanary canary) {
        JsonObject object = new JsonObject();
        object.addProperty("share", canary.share());
        canary.priority().ifPresent(priority -> object.addProperty("priority", priority));
        canary.pinned().ifPresent(pinned -> object.addProperty("pinned", pinned));
        object.add("revision", toJson(canary.revision()));
        return object;
    }

    private static RegisteredCanary canary(StoredFields fields) {
        RegisteredCanary canary =
                new RegisteredCanary(
                        revision(fields.child("revision")),
                        fields.real("share"),
                        fields.has("priority")
                                ? OptionalDouble.of(fields.real("priority"))
                                : OptionalDouble.empty(),
                        fields.has("pinned")
                                ? Optional.of(fields.flag("pinned"))
                                : Optional.empty());
        fields.checkNoneLeft();
        return canary;
    }

    private static JsonObject toJson(AdapterRevision revision) {
        JsonObject object = new JsonObject();
        object.addProperty("hash", revision.hash());
        object.addProperty("source", revision.source().toString());
        object.addProperty("bytes", revision.bytes());
        object.addProperty("registered", revision.registered().toEpochMilli());
        JsonObject metadata = new JsonObject();
        new TreeMap<>(revision.metadata()).forEach(metadata::addProperty);
        object.add("metadata", metadata);
        object.addProperty("validated", revision.validated());
        object.addProperty("checksums", Base64.getEncoder().encodeToString(revision.checksums()));
        return object;
    }

    private static AdapterRevision revision(StoredFields fields) {
        Map<String, String> metadata = fields.texts("metadata");
        AdapterRevision revision =
                new AdapterRevision(
                        fields.text("hash"),
                        Path.of(fields.text("source")),
                        fields.whole("bytes"),
                        Instant.ofEpochMilli(fields.whole("registered")),
                        metadata,
                        fields.flag("validated"),
                        Base64.getDecoder().decode(fields.text("checksums")));
        fields.checkNoneLeft();
        return revision;
    }
}
