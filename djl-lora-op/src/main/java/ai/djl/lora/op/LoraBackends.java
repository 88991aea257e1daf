/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.List;

/** The backends of this process, for callers that need no {@link BackendManager}. */
public final class LoraBackends {

    private LoraBackends() {}

    /**
     * Returns every backend and whether it can be used here.
     *
     * @return the backends, in the order of preference
     */
    public static List<BackendStatus> list() {
        return BackendManager.builder().build().status();
    }

    /**
     * Returns a backend.
     *
     * @param name its name, or null for the best that can be used here
     * @return a new instance
     * @throws ai.djl.lora.LoraConfigurationException if there is no backend of that name
     * @throws ai.djl.lora.LoraBackendException if it cannot be used here
     */
    public static LoraBackend choose(String name) {
        return BackendManager.builder().optPreferred(name).build().current();
    }
}
