/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.jni.LoraLibrary;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The backends, best first: {@code cpu}, the native operators, and {@code pytorch}, plain NDArray
 * operations.
 */
public final class LoraBackends {

    private LoraBackends() {}

    /**
     * Returns every backend and whether it can be used here.
     *
     * @return the backends, in the order of preference
     */
    public static List<BackendStatus> list() {
        boolean nativeLibrary = LoraLibrary.isAvailable();
        return List.of(
                new BackendStatus(
                        NativeBackend.NAME,
                        nativeLibrary,
                        nativeLibrary
                                ? "native operators, float32 and bfloat16"
                                : LoraLibrary.unavailableReason()),
                new BackendStatus(NdArrayBackend.NAME, true, "plain NDArray operations, float32"));
    }

    /**
     * Returns a backend.
     *
     * @param name its name, or null for the best that can be used here
     * @return a new instance
     * @throws LoraConfigurationException if there is no backend of that name
     * @throws LoraBackendException if it cannot be used here
     */
    public static LoraBackend choose(String name) {
        List<BackendStatus> all = list();
        for (BackendStatus status : all) {
            if (name == null ? status.available() : status.name().equals(name)) {
                if (!status.available()) {
                    throw new LoraBackendException(
                            "Backend " + name + " cannot be used: " + status.reason());
                }
                return create(status.name());
            }
        }
        throw new LoraConfigurationException(
                "Unknown backend \""
                        + name
                        + "\"; there are "
                        + all.stream().map(BackendStatus::name).collect(Collectors.joining(", ")));
    }

    private static LoraBackend create(String name) {
        return NativeBackend.NAME.equals(name) ? new NativeBackend() : new NdArrayBackend();
    }
}
