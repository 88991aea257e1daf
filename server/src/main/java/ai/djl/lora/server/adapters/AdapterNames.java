/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import java.util.List;

/** The names that lead to adapters: their own, aliases, and none at all. */
public final class AdapterNames {

    private final ServedModel model;
    private final AdapterStore store;
    private final AdapterTargets targets;

    AdapterNames(ServedModel model, AdapterTargets targets) {
        this.model = model;
        this.store = model.adapters();
        this.targets = targets;
    }

    /**
     * Returns the adapter of a name.
     *
     * @param name its name or an alias
     * @return what is on record of it
     * @throws HttpFailure of status 404 if there is none that answers requests
     */
    public RegisteredAdapter find(String name) {
        return store.getRegistry()
                .find(name)
                .filter(adapter -> !adapter.retired())
                .orElseThrow(() -> AdapterFailures.unknown(name));
    }

    /** Refuses a name that leads somewhere. */
    void checkFree(String name) {
        if (targets.has(name)) {
            throw taken(name);
        }
        checkNotModel(name);
    }

    private static HttpFailure taken(String name) {
        return AdapterFailures.conflict(
                "adapter_exists", "there is an adapter " + Message.quote(name) + " already");
    }

    private void checkNotModel(String name) {
        if (name.equals(model.name())) {
            throw AdapterFailures.conflict(
                    "adapter_exists", Message.quote(name) + " is the name of the base model");
        }
    }

    /** Refuses to take away what requests get that name no adapter. */
    void checkNotDefault(String name) {
        if (targets.defaultAdapter().equals(name)) {
            throw AdapterFailures.conflict(
                    "adapter_in_use",
                    Message.quote(name)
                            + " is what requests get that name no adapter; switch to another first");
        }
    }

    /**
     * Returns the names that stand for an adapter.
     *
     * @param name the adapter's own name
     * @return the aliases, also those of aliases, sorted
     */
    public List<String> aliasesOf(String name) {
        return store.getRegistry().aliases().keySet().stream()
                .filter(
                        alias ->
                                store.getRegistry()
                                        .find(alias)
                                        .filter(adapter -> adapter.name().equals(name))
                                        .isPresent())
                .sorted()
                .toList();
    }

    /**
     * Lets a name stand for an adapter.
     *
     * @param alias the name
     * @param name the adapter's name
     * @throws HttpFailure of status 404 if there is no such adapter, of 409 if the alias is taken
     */
    public void alias(String alias, String name) {
        find(name);
        checkNotModel(alias);
        if (store.names().contains(alias) || store.stackNames().contains(alias)) {
            throw taken(alias);
        }
        store.alias(alias, name);
    }

    /**
     * Takes an alias of an adapter away.
     *
     * @param alias the alias
     * @param name the adapter's name
     * @throws HttpFailure of status 404 if the adapter has no such alias, of 409 if something
     *     depends on it
     */
    public void unalias(String alias, String name) {
        String own = find(name).name();
        if (!aliasesOf(own).contains(alias)) {
            throw new HttpFailure(
                    404,
                    "alias_not_found",
                    "adapter " + Message.quote(own) + " has no alias " + Message.quote(alias));
        }
        checkNotDefault(alias);
        store.unalias(alias);
    }

    /**
     * Sets what requests get that name no adapter.
     *
     * @param name the name of an adapter, a stack or an alias; that of the model for the base model
     * @throws HttpFailure of status 404 if there is none
     */
    public void switchDefault(String name) {
        boolean base = name.equals(model.name()) && !targets.has(name);
        if (!base && !targets.has(name)) {
            throw AdapterFailures.unknown(name);
        }
        targets.setDefaultAdapter(base ? "" : name);
    }
}
