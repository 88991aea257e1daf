/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.generate.engine.EngineState;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import java.util.concurrent.atomic.AtomicInteger;

/** One of the engines that answer a model's requests. */
public final class EngineReplica {

    private final int index;
    private final GenerationEngine engine;
    private final EngineEvents events;
    private final AtomicInteger answers = new AtomicInteger();

    /**
     * Constructs a new {@code EngineReplica} instance.
     *
     * @param index which one it is
     * @param engine the engine
     * @param events what its recorder tells
     */
    EngineReplica(int index, GenerationEngine engine, EngineEvents events) {
        this.index = index;
        this.engine = engine;
        this.events = events;
    }

    /**
     * Returns which one it is.
     *
     * @return its index, from 0
     */
    public int index() {
        return index;
    }

    /**
     * Returns what computes.
     *
     * @return the engine, owned by the model; draining or closing it takes the replica out
     */
    public GenerationEngine engine() {
        return engine;
    }

    /**
     * Returns what tells of this engine alone.
     *
     * @return the events
     */
    public EngineEvents events() {
        return events;
    }

    /**
     * Returns how the engine stands.
     *
     * @return the statistics
     */
    public EngineStatistics statistics() {
        return engine.statistics();
    }

    /**
     * Returns whether it takes requests.
     *
     * @return whether it does
     */
    public boolean isReady() {
        return engine.state() == EngineState.RUNNING;
    }

    /**
     * Returns how much it has to do.
     *
     * @return the load, those requests too that its engine has not looked at yet
     */
    public ReplicaLoad load() {
        return new ReplicaLoad(index, answers.get());
    }

    void begin(int count) {
        answers.addAndGet(count);
    }

    void end(int count) {
        answers.addAndGet(-count);
    }
}
