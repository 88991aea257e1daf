/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * An adapter of a model.
 *
 * @param <I> the type of inputs
 * @param <O> the type of outputs
 */
public abstract class Adapter<I, O> {

    /** The model. */
    protected ModelInfo<I, O> modelInfo;

    /** The adapter's name. */
    protected String name;

    /** Its other name. */
    protected String alias;

    /** Where it is. */
    protected String src;

    /** What else is said of it. */
    protected Map<String, String> options;

    /**
     * Declares the constructor.
     *
     * @param modelInfo the model
     * @param name the adapter's name
     * @param alias its other name
     * @param src where it is
     * @param options what else is said of it
     */
    protected Adapter(
            ModelInfo<I, O> modelInfo,
            String name,
            String alias,
            String src,
            Map<String, String> options) {
        this.modelInfo = modelInfo;
        this.name = name;
        this.alias = alias;
        this.src = src;
        this.options = options;
    }

    /**
     * Returns an adapter as the server makes it.
     *
     * @param modelInfo the model
     * @param name the adapter's name
     * @param alias its other name
     * @param src where it is
     * @param options what else is said of it
     * @param <I> the type of inputs
     * @param <O> the type of outputs
     * @return the adapter
     */
    public static <I, O> Adapter<I, O> newInstance(
            ModelInfo<I, O> modelInfo,
            String name,
            String alias,
            String src,
            Map<String, String> options) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Has a worker take it away.
     *
     * @param adapter the adapter
     * @param modelInfo the model
     * @param wlm runs jobs
     * @param <I> the type of inputs
     * @param <O> the type of outputs
     * @return the worker's answer
     */
    public static <I, O> CompletableFuture<O> unregister(
            Adapter<I, O> adapter, ModelInfo<I, O> modelInfo, WorkLoadManager wlm) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Has a worker register it.
     *
     * @param wlm runs jobs
     * @return the worker's answer
     */
    public CompletableFuture<O> register(WorkLoadManager wlm) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns the input that registers it with a worker.
     *
     * @return the input
     */
    protected abstract I getRegisterAdapterInput();

    /**
     * Returns the input that takes it away.
     *
     * @return the input
     */
    protected abstract I getUnregisterAdapterInput();

    /**
     * Returns the input that changes it.
     *
     * @return the input
     */
    protected abstract I getUpdateAdapterInput();
}
