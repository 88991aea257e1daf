/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

/** Is told what came of each request that had a route; for logs and metrics. */
@FunctionalInterface
public interface RequestObserver {

    /**
     * A response has been made, to its last piece where it is streamed.
     *
     * @param outcome what came of the request
     */
    void answered(RequestOutcome outcome);
}
