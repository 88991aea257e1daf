/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import java.util.Optional;

/** Provides the backend {@code pytorch}, which is there wherever DJL's PyTorch engine is. */
final class NdArrayBackendProvider implements BackendProvider {

    /** {@inheritDoc} */
    @Override
    public String getName() {
        return NdArrayBackend.NAME;
    }

    /** {@inheritDoc} */
    @Override
    public String getDescription() {
        return "plain NDArray operations, in float32";
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailable() {
        return Optional.empty();
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> whyUnavailableOn(Device device) {
        return whyUnavailable();
    }

    /** {@inheritDoc} */
    @Override
    public LoraBackend create() {
        return new NdArrayBackend();
    }
}
