/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import java.util.Locale;

/** What is done one after the other to put a revision in the place of another. */
public enum SwapStep {
    /** The files are brought to where they can be read. */
    FETCH,
    /** The revision is read, checked and laid beside the one that serves. */
    LOAD,
    /** It answers a prompt. */
    SMOKE,
    /** It answers prompts whose answers are known. */
    GOLDEN,
    /** The name leads to it. */
    SWITCH,
    /** Requests that had begun with the old revision end with it. */
    DRAIN;

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
