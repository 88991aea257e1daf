/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jni.LoraLibrary;
import java.util.Optional;

/** Provides the backend {@code cpu} where the native library can be loaded. */
final class NativeBackendProvider implements BackendProvider {

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NativeBackend.NAME;
    }

    /** {@inheritDoc} */
    @Override
    public String getDescription() {
        return "native operators, float32, float16 and bfloat16";
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailable() {
        return LoraLibrary.isAvailable()
                ? Optional.empty()
                : Optional.of(LoraLibrary.unavailableReason());
    }

    /** {@inheritDoc} */
    @Override
    public LoraBackend create() {
        return new NativeBackend();
    }
}
