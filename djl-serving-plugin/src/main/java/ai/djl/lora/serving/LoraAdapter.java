/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.wlm.Adapter;
import ai.djl.serving.wlm.ModelInfo;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An adapter of a model of this project, as DJL Serving knows it.
 *
 * <p>What is to be done with it goes to a worker as an {@code Input} with a property {@code
 * handler}, which the model's translator answers. The server makes such inputs itself for every
 * worker that it starts.
 */
public final class LoraAdapter extends Adapter<Input, Output> {

    /** The property that says what is to be done. */
    public static final String HANDLER = "handler";

    /** The handler that tells of all adapters of a model. */
    public static final String LIST = "list_adapters";

    /** The handler that tells of one adapter. */
    public static final String DESCRIBE = "describe_adapter";

    /**
     * Constructs a new {@code LoraAdapter} instance.
     *
     * @param modelInfo the model
     * @param name the name by which requests ask for it
     * @param alias another such name; null for none
     * @param src its folder or file; null where it stays as it is
     * @param options {@code preload} and {@code pin}
     */
    public LoraAdapter(
            ModelInfo<Input, Output> modelInfo,
            String name,
            String alias,
            String src,
            Map<String, String> options) {
        super(modelInfo, name, alias, src, new ConcurrentHashMap<>(options));
    }

    /**
     * Returns an input that asks for something to be done.
     *
     * @param handler what
     * @return the input
     */
    public static Input newJob(String handler) {
        Input input = new Input();
        input.addProperty(HANDLER, handler);
        return input;
    }

    private Input newInput(String handler) {
        Input input = newJob(handler);
        input.addProperty("name", name);
        if (alias != null) {
            input.addProperty("alias", alias);
        }
        if (src != null) {
            input.addProperty("src", src);
        }
        return input;
    }

    private Input withOptions(Input input) {
        options.forEach(input::add);
        return input;
    }

    /** {@inheritDoc} */
    @Override
    public Input getRegisterAdapterInput() {
        return withOptions(newInput("register_adapter"));
    }

    /** {@inheritDoc} */
    @Override
    public Input getUpdateAdapterInput() {
        return withOptions(newInput("update_adapter"));
    }

    /** {@inheritDoc} */
    @Override
    public Input getUnregisterAdapterInput() {
        return newInput("unregister_adapter");
    }
}
