/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.lora.serving.LoraAdapter;
import ai.djl.lora.serving.LoraModels;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.models.ModelManager;
import ai.djl.serving.wlm.ModelInfo;
import ai.djl.serving.wlm.WorkLoadManager;
import ai.djl.serving.wlm.WorkerPoolConfig;
import ai.djl.serving.wlm.util.ModelServerListenerAdapter;
import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has the server know the adapters that a model brings with it: those in its archive, and those
 * that its registry has on record from before a restart.
 *
 * <p>The server tells of a model before the model can be asked, so a thread waits until it can.
 */
final class LoadedModels extends ModelServerListenerAdapter {

    private static final Logger logger = LoggerFactory.getLogger(LoadedModels.class);
    private static final Duration PAUSE = Duration.ofMillis(20);
    private static final Duration LONGEST = Duration.ofMinutes(10);

    /** {@inheritDoc} */
    @Override
    public void onModelLoaded(ModelInfo<?, ?> model) {
        Thread thread = new Thread(() -> tell(model), "djl-lora-adapters-" + model.getId());
        thread.setDaemon(true);
        thread.start();
    }

    private static void tell(ModelInfo<?, ?> loaded) {
        try {
            long end = System.nanoTime() + LONGEST.toNanos();
            while (!isTold(loaded, System.nanoTime() - end > 0)) {
                Thread.sleep(PAUSE.toMillis());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static boolean isTold(ModelInfo<?, ?> loaded, boolean isLate) {
        if (loaded.getStatus() == WorkerPoolConfig.Status.PENDING || loaded.getModels().isEmpty()) {
            return isLate;
        }
        if (!LoraModels.isOurs(loaded)) {
            return true;
        }
        WorkLoadManager manager = ModelManager.getInstance().getWorkLoadManager();
        ModelInfo<Input, Output> model = typed(loaded);
        ServerModel served = new ServerModel(manager, model);
        try {
            Output output = served.run(LoraAdapter.newJob(LoraAdapter.LIST)).join();
            for (JsonObject adapter : AdapterAnswers.list(output)) {
                served.put(AdapterAnswers.adapter(model, adapter));
            }
            return true;
        } catch (CompletionException e) {
            // a model that has no workers yet refuses every job
            if (isLate) {
                logger.warn("{}: its adapters cannot be listed", loaded, e);
            }
            return isLate;
        }
    }

    /* Models of this project have no other types here. */
    @SuppressWarnings("unchecked")
    private static ModelInfo<Input, Output> typed(ModelInfo<?, ?> model) {
        return (ModelInfo<Input, Output>) model;
    }
}
