/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jni.CudaStatus;
import ai.djl.lora.jni.LoraLibrary;
import java.util.Optional;

/** Makes the backend {@code cuda}, whose kernels the native library carries. */
final class CudaBackendProvider implements BackendProvider {

    static final String NAME = "cuda";

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NAME;
    }

    /** {@inheritDoc} */
    @Override
    public String getDescription() {
        return "CUDA kernels, float16 and bfloat16";
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailable() {
        if (!LoraLibrary.isAvailable()) {
            return Optional.of(LoraLibrary.unavailableReason());
        }
        return CudaStatus.read().obstacle();
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailableOn(Device device) {
        Optional<String> reason = whyUnavailable();
        return reason.isPresent() || device.isGpu()
                ? reason
                : Optional.of("it computes on a GPU, and the model is on " + device);
    }

    /** {@inheritDoc} */
    @Override
    public LoraBackend create() {
        whyUnavailable()
                .ifPresent(
                        reason -> {
                            throw new LoraBackendException(
                                    "Backend " + NAME + " cannot be used: " + reason);
                        });
        return new CudaBackend(NAME, null);
    }
}
