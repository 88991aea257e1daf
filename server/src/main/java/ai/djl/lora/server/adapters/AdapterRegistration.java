/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.adapters.source.FetchedAdapter;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.http.HttpFailure;
import java.util.List;

/** Registers adapters under new names, and takes them away. */
public final class AdapterRegistration {

    private final AdapterStore store;
    private final AdapterSources sources;
    private final AdapterChanges changes;
    private final AdapterNames names;
    private final AdapterCanaries canaries;

    AdapterRegistration(
            AdapterStore store,
            AdapterSources sources,
            AdapterChanges changes,
            AdapterNames names,
            AdapterCanaries canaries) {
        this.store = store;
        this.sources = sources;
        this.changes = changes;
        this.names = names;
        this.canaries = canaries;
    }

    /**
     * Registers an adapter.
     *
     * @param name its name
     * @param fetching brings it
     * @param request what is asked of it
     * @return what was applied
     * @throws HttpFailure if the name is taken or cannot be one, the adapter may not or cannot be
     *     fetched, or does not fit
     */
    public LoadReport register(String name, Fetching fetching, AdapterRequest request) {
        return changes.alone(
                name,
                () -> {
                    names.checkFree(name);
                    try (FetchedAdapter adapter = fetching.fetch(sources)) {
                        LoadReport report =
                                adapter.read(
                                        () ->
                                                store.register(
                                                        name,
                                                        adapter.path(),
                                                        request.settings(adapter.given())));
                        adapter.keep();
                        if (!request.preload() && !request.pinned().orElse(false)) {
                            store.offload(name);
                        }
                        return report;
                    }
                });
    }

    /**
     * Takes an adapter or a stack away. Requests that have begun with it end with it.
     *
     * @param name its own name
     * @throws HttpFailure of status 404 if there is none, of 409 if something depends on it
     */
    public void unregister(String name) {
        if (store.stackNames().contains(name)) {
            names.checkNotDefault(name);
            store.unregister(name);
            return;
        }
        String own = names.find(name).name();
        changes.alone(
                own,
                () -> {
                    checkFreeToGo(own, name);
                    takeAway(own);
                    canaries.forget(own);
                    return null;
                });
    }

    private void checkFreeToGo(String own, String asked) {
        if (!own.equals(asked)) {
            throw AdapterFailures.conflict(
                    "adapter_in_use",
                    Message.quote(asked)
                            + " is an alias of "
                            + Message.quote(own)
                            + "; take the alias away, or the adapter by its own name");
        }
        names.checkNotDefault(own);
        List<String> aliases = names.aliasesOf(own);
        if (!aliases.isEmpty()) {
            throw AdapterFailures.conflict(
                    "adapter_in_use",
                    "adapter "
                            + Message.quote(own)
                            + " has the alias "
                            + Message.quote(aliases.get(0))
                            + "; take that away first");
        }
    }

    private void takeAway(String name) {
        try {
            store.unregister(name);
        } catch (LoraConfigurationException e) {
            // it is part of a stack, or has got an alias meanwhile
            throw AdapterFailures.passing(409, "adapter_in_use", e.getMessage(), e);
        }
    }
}
