/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.lora.serving.LoraModels;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.models.ModelManager;
import ai.djl.serving.wlm.ModelInfo;
import ai.djl.serving.wlm.WorkLoadManager;
import ai.djl.serving.wlm.WorkerPool;
import java.util.Optional;

/** The models of the server that this plugin was loaded by. */
final class ServerModels implements ServedModels {

    /** {@inheritDoc} */
    @Override
    public Optional<ServedModel> find(String name) {
        WorkLoadManager manager = ModelManager.getInstance().getWorkLoadManager();
        WorkerPool<Input, Output> pool = manager.getWorkerPoolById(name);
        if (pool == null || !(pool.getWpc() instanceof ModelInfo<Input, Output> model)) {
            return Optional.empty();
        }
        return LoraModels.isOurs(model)
                ? Optional.of(new ServerModel(manager, model))
                : Optional.empty();
    }

    /** {@inheritDoc} */
    @Override
    public Optional<String> single() {
        return ModelManager.getInstance().getSingleStartupWorkflow();
    }
}
