/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.models;

import ai.djl.serving.wlm.WorkLoadManager;
import java.util.Optional;

/** What the server serves. */
public final class ModelManager {

    private ModelManager() {}

    /**
     * Returns the only instance.
     *
     * @return the instance
     */
    public static ModelManager getInstance() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns what runs jobs.
     *
     * @return the manager
     */
    public WorkLoadManager getWorkLoadManager() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns the model that the server was started with, where that is one.
     *
     * @return its name
     */
    public Optional<String> getSingleStartupWorkflow() {
        throw new UnsupportedOperationException("a declaration");
    }
}
