/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import java.util.Optional;

/** The models of this project that the server serves. */
interface ServedModels {

    /**
     * Returns a model.
     *
     * @param name its name
     * @return the model; empty where there is none, or it is not of this project
     */
    Optional<ServedModel> find(String name);

    /**
     * Returns the name of the one model that the server was started with.
     *
     * @return the name; empty where there is not exactly one
     */
    Optional<String> single();
}
