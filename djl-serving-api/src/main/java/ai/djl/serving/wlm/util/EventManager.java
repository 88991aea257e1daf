/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm.util;

/** Tells listeners. */
public final class EventManager {

    private EventManager() {}

    /**
     * Returns the only instance.
     *
     * @return the instance
     */
    public static EventManager getInstance() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Adds a listener.
     *
     * @param listener the listener
     */
    public void addListener(ModelServerListener listener) {
        throw new UnsupportedOperationException("a declaration");
    }
}
