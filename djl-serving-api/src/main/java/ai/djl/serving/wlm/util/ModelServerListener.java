/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm.util;

import ai.djl.serving.wlm.ModelInfo;

/** Is told what happens to models. */
public interface ModelServerListener {

    /**
     * Is told that a model has been loaded on a device.
     *
     * @param model the model
     */
    void onModelLoaded(ModelInfo<?, ?> model);
}
