/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

/** Something that brings an adapter to where it can be read. */
@FunctionalInterface
public interface Fetching {

    /**
     * Brings an adapter to where it can be read.
     *
     * @param from where adapters come from
     * @return the adapter, to be closed by the caller
     */
    FetchedAdapter fetch(AdapterSources from);
}
