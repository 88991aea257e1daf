/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

/** Is told what came of each request; for logs and metrics. */
@FunctionalInterface
public interface RequestObserver {

    /**
     * A response to a request that had a route has been made, to its last piece where it is
     * streamed.
     *
     * @param outcome what came of the request
     */
    void answered(RequestOutcome outcome);

    /**
     * A request has been refused that no route has seen.
     *
     * @param refusal what it was, and why
     */
    default void refused(Refusal refusal) {}
}
