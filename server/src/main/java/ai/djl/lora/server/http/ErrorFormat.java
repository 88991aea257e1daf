/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import com.google.gson.JsonElement;

/** Writes what is wrong as the clients of a route expect it. */
@FunctionalInterface
public interface ErrorFormat {

    /**
     * Writes a failure.
     *
     * @param failure the failure
     * @return the content of its response
     */
    JsonElement write(HttpFailure failure);
}
