/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.RegisteredAdapter;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.Collection;
import java.util.Map;

/**
 * Adapters as the routes show them. {@code name}, {@code src}, {@code preload} and {@code pin} are
 * what DJL Serving's clients look for.
 */
public final class AdapterJson {

    private final AdapterStore store;
    private final AdapterTargets targets;
    private final AdapterNames names;

    /**
     * Constructs a new {@code AdapterJson} instance.
     *
     * @param store the adapters
     * @param targets which of them requests get
     * @param names their aliases
     */
    public AdapterJson(AdapterStore store, AdapterTargets targets, AdapterNames names) {
        this.store = store;
        this.targets = targets;
        this.names = names;
    }

    /**
     * Returns what a list says of an adapter.
     *
     * @param adapter the adapter
     * @param all whether the caller may see where it comes from and why it failed
     * @return an object
     */
    public JsonObject item(RegisteredAdapter adapter, boolean all) {
        AdapterState state = store.state(adapter.name());
        AdapterRevision current = adapter.current();
        JsonObject json = new JsonObject();
        json.addProperty("name", adapter.name());
        if (all) {
            json.addProperty("src", AdapterRequest.sourceOf(current));
        }
        json.addProperty("preload", !current.metadata().containsKey(AdapterRequest.NO_PRELOAD));
        json.addProperty("pin", adapter.pinned());
        json.addProperty("tier", tier(state.place()));
        json.addProperty("state", stateName(state.place()));
        json.addProperty("revision", state.revision());
        json.addProperty("bytes", state.bytes());
        json.addProperty("compressed", state.compressed());
        json.addProperty("pinned", adapter.pinned());
        json.addProperty("priority", adapter.priority());
        adapter.tenant().ifPresent(tenant -> json.addProperty("tenant", tenant));
        json.add("aliases", array(names.aliasesOf(adapter.name())));
        json.addProperty(
                "default",
                store.getRegistry()
                        .find(targets.defaultAdapter())
                        .filter(found -> found.name().equals(adapter.name()))
                        .isPresent());
        addUse(json, state);
        targets.canary(adapter.name()).ifPresent(canary -> json.add("canary", canary(canary)));
        if (all) {
            state.failure()
                    .ifPresent(failure -> json.addProperty("failure", hide(adapter, failure)));
        }
        return json;
    }

    private static String tier(AdapterState.Place place) {
        return switch (place) {
            case DEVICE -> "device";
            case HOST -> "host";
            default -> "disk";
        };
    }

    private static String stateName(AdapterState.Place place) {
        return switch (place) {
            case LOADING -> "loading";
            case FAILED -> "failed";
            default -> "ready";
        };
    }

    private static void addUse(JsonObject json, AdapterState state) {
        json.addProperty("leases", state.leases());
        json.addProperty("hits", state.hits());
        json.addProperty("misses", state.misses());
        json.addProperty("frequency", state.frequency());
        state.lastUsed().ifPresent(time -> json.addProperty("last_used", time.toString()));
    }

    /**
     * Returns what is said of a canary.
     *
     * @param canary the canary
     * @return an object with {@code revision} and {@code share}
     */
    public static JsonObject canary(Canary canary) {
        JsonObject json = new JsonObject();
        json.addProperty("revision", canary.candidate().getRevision());
        json.addProperty("share", canary.share());
        return json;
    }

    /**
     * Returns all that is known of an adapter.
     *
     * @param adapter the adapter
     * @return what {@link #item} says, with {@code metadata}, {@code revisions} and {@code report}
     */
    public JsonObject whole(RegisteredAdapter adapter) {
        JsonObject json = item(adapter, true);
        json.add("metadata", metadata(adapter.current()));
        JsonArray revisions = new JsonArray();
        for (AdapterRevision revision : adapter.revisions()) {
            JsonObject each = new JsonObject();
            each.addProperty("revision", revision.hash());
            each.addProperty("src", AdapterRequest.sourceOf(revision));
            each.addProperty("bytes", revision.bytes());
            each.addProperty("registered", revision.registered().toString());
            each.addProperty("current", revision.hash().equals(adapter.current().hash()));
            each.add("metadata", metadata(revision));
            revisions.add(each);
        }
        json.add("revisions", revisions);
        json.add("report", report(store.report(adapter.name()), adapter.current()));
        return json;
    }

    private static JsonObject metadata(AdapterRevision revision) {
        JsonObject json = new JsonObject();
        for (Map.Entry<String, String> entry : revision.metadata().entrySet()) {
            if (!entry.getKey().startsWith(AdapterRequest.OWN_METADATA)) {
                json.addProperty(entry.getKey(), entry.getValue());
            }
        }
        return json;
    }

    /**
     * Returns a load report without a path of the server.
     *
     * @param report the report
     * @param revision what it is of
     * @return the report as JSON
     */
    public static JsonObject report(LoadReport report, AdapterRevision revision) {
        String path = revision.source().toString();
        String given = AdapterRequest.sourceOf(revision);
        return replaced(report.toJson(), path, given).getAsJsonObject();
    }

    private static String hide(RegisteredAdapter adapter, String message) {
        AdapterRevision revision = adapter.current();
        return message.replace(revision.source().toString(), AdapterRequest.sourceOf(revision));
    }

    private static JsonElement replaced(JsonElement element, String path, String given) {
        if (element.isJsonObject()) {
            JsonObject object = new JsonObject();
            for (Map.Entry<String, JsonElement> entry : element.getAsJsonObject().entrySet()) {
                object.add(entry.getKey(), replaced(entry.getValue(), path, given));
            }
            return object;
        }
        if (element.isJsonArray()) {
            JsonArray array = new JsonArray();
            element.getAsJsonArray().forEach(each -> array.add(replaced(each, path, given)));
            return array;
        }
        boolean text = element.isJsonPrimitive() && element.getAsJsonPrimitive().isString();
        return text ? new JsonPrimitive(element.getAsString().replace(path, given)) : element;
    }

    private static JsonArray array(Collection<String> texts) {
        JsonArray array = new JsonArray();
        texts.forEach(array::add);
        return array;
    }
}
