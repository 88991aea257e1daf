/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm.util;

import ai.djl.serving.wlm.ModelInfo;

/** A listener that does nothing. */
public abstract class ModelServerListenerAdapter implements ModelServerListener {

    /** Declares the constructor. */
    public ModelServerListenerAdapter() {}

    /** {@inheritDoc} */
    @Override
    public void onModelLoaded(ModelInfo<?, ?> model) {
        throw new UnsupportedOperationException("a declaration");
    }
}
