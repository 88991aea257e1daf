/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import java.util.Optional;

/**
 * Makes a backend, or says why it cannot.
 *
 * <p>Providers of other jars are found through {@link java.util.ServiceLoader}; an application may
 * also hand one to {@link BackendManager.Builder#addProvider}.
 */
public interface BackendProvider {

    /**
     * Returns the name by which users choose the backend.
     *
     * @return the name, such as {@code cpu}
     */
    String getName();

    /**
     * Returns what the backend is, for people who read a list of them.
     *
     * @return one line
     */
    String getDescription();

    /**
     * Returns why the backend cannot be used in this process.
     *
     * @return the reason, empty if it can be used
     */
    Optional<String> whyUnavailable();

    /**
     * Returns why the backend cannot be used for models whose arrays lie on a device.
     *
     * @param device the device
     * @return the reason, empty if it can be used; by default a backend computes on the CPU alone
     */
    default Optional<String> whyUnavailableOn(Device device) {
        return device.isGpu()
                ? Optional.of("it computes on the CPU, and the model is on " + device)
                : whyUnavailable();
    }

    /**
     * Makes the backend.
     *
     * @return a new instance
     */
    LoraBackend create();

    /**
     * Makes the backend for models whose arrays lie on a device.
     *
     * @param device the device, for which {@link #whyUnavailableOn} has no reason
     * @return a new instance
     */
    default LoraBackend create(Device device) {
        return create();
    }
}
