/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** A model of this project that the server serves. */
interface ServedModel {

    /** Returns whether its adapters may be managed. */
    boolean isEnabled();

    /** Returns whether the server knows an adapter of that name. */
    boolean knows(String adapter);

    /**
     * Loads an adapter, and has the server know it.
     *
     * @param name its name
     * @param alias another name; null for none
     * @param src where it is
     * @param options what else the request says
     * @return the translator's answer; the server knows the adapter if its code is below 300
     */
    CompletableFuture<Output> register(
            String name, String alias, String src, Map<String, String> options);

    /**
     * Changes an adapter.
     *
     * @param name its name
     * @param alias another name; null for none
     * @param changes what the request says
     * @return the translator's answer
     */
    CompletableFuture<Output> update(String name, String alias, Map<String, String> changes);

    /**
     * Takes an adapter away.
     *
     * @param name its name
     * @return the translator's answer
     */
    CompletableFuture<Output> unregister(String name);

    /**
     * Has the model's translator answer an input.
     *
     * @param job the input
     * @return the answer
     */
    CompletableFuture<Output> run(Input job);
}
