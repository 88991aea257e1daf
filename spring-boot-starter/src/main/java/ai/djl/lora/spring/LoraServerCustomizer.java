/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import ai.djl.lora.server.LoraServer;

/** Says more of the server than properties can, such as routes and filters. */
@FunctionalInterface
public interface LoraServerCustomizer {

    /**
     * Changes the server that is about to be made.
     *
     * @param builder what the properties have made of it
     */
    void customize(LoraServer.Builder builder);
}
