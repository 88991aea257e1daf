/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jit.JitSelection;
import ai.djl.lora.jni.CudaStatus;
import ai.djl.lora.jni.LoraLibrary;
import java.util.Optional;

/**
 * Makes the backend {@code jit}: {@code cuda} with kernels that are compiled when the program runs,
 * for the rank that adapters have, where that is faster or nothing else serves the device.
 */
final class JitBackendProvider implements BackendProvider {

    static final String NAME = "jit";

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NAME;
    }

    /** {@inheritDoc} */
    @Override
    public String getDescription() {
        return "CUDA kernels compiled for the adapters' rank at run time, float16 and bfloat16";
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailable() {
        if (!LoraLibrary.isAvailable()) {
            return Optional.of(LoraLibrary.unavailableReason());
        }
        return CudaStatus.read().whyNoDevice(0).or(JitBackendProvider::whyNoCompiler);
    }

    private static Optional<String> whyNoCompiler() {
        try {
            JitSelection.load();
            return Optional.empty();
        } catch (LoraBackendException e) {
            return Optional.of(e.getMessage());
        }
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
        return new CudaBackend(NAME, JitSelection.load());
    }
}
