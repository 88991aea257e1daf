/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.memory.Registration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells any number of recorders what happens in an engine, on its thread. */
public final class EngineEvents implements EngineRecorder {

    private static final Logger logger = LoggerFactory.getLogger(EngineEvents.class);

    private final List<EngineRecorder> recorders = new CopyOnWriteArrayList<>();

    EngineEvents() {}

    /**
     * Adds who is told.
     *
     * @param recorder who is told; what it throws is logged
     * @return makes it forgotten when it is closed
     */
    public Registration add(EngineRecorder recorder) {
        recorders.add(recorder);
        return () -> recorders.remove(recorder);
    }

    private void tell(Consumer<EngineRecorder> event) {
        for (EngineRecorder recorder : recorders) {
            try {
                event.accept(recorder);
            } catch (RuntimeException e) {
                logger.warn("The engine's recorder failed", e);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public void arrived(String adapter) {
        tell(recorder -> recorder.arrived(adapter));
    }

    /** {@inheritDoc} */
    @Override
    public void ended(String adapter, boolean scheduled) {
        tell(recorder -> recorder.ended(adapter, scheduled));
    }

    /** {@inheritDoc} */
    @Override
    public void scheduled(String adapter, long queuedNanos) {
        tell(recorder -> recorder.scheduled(adapter, queuedNanos));
    }

    /** {@inheritDoc} */
    @Override
    public void firstToken(String adapter, long nanos) {
        tell(recorder -> recorder.firstToken(adapter, nanos));
    }

    /** {@inheritDoc} */
    @Override
    public void finished(
            String adapter, int promptTokens, int cachedTokens, int newTokens, long nanos) {
        tell(recorder -> recorder.finished(adapter, promptTokens, cachedTokens, newTokens, nanos));
    }

    /** {@inheritDoc} */
    @Override
    public void failed(String adapter, Throwable reason) {
        tell(recorder -> recorder.failed(adapter, reason));
    }

    /** {@inheritDoc} */
    @Override
    public void step(EngineStatistics statistics, long nanos) {
        tell(recorder -> recorder.step(statistics, nanos));
    }
}
