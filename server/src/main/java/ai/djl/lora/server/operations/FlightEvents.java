/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.EvictionCause;
import ai.djl.lora.cache.StoreRecorder;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.registry.RegistryEvent;
import ai.djl.lora.registry.RegistryListener;
import java.util.Locale;

/** Writes loads, evictions, swaps and steps into recordings of Java Flight Recorder. */
public final class FlightEvents implements StoreRecorder, RegistryListener, EngineRecorder {

    /** {@inheritDoc} */
    @Override
    public void loaded(String adapter, String revision, long bytes, long nanos) {
        new AdapterLoadEvent(adapter, revision, bytes, nanos).commit();
    }

    /** {@inheritDoc} */
    @Override
    public void evicted(String adapter, boolean device, long bytes, EvictionCause cause) {
        String tier = device ? "device" : "host";
        new AdapterEvictEvent(adapter, tier, bytes, cause.name().toLowerCase(Locale.ROOT)).commit();
    }

    /** {@inheritDoc} */
    @Override
    public void onChange(RegistryEvent event) {
        if (event.before().isPresent() && event.after().isPresent() && event.isContentChanged()) {
            new AdapterSwapEvent(
                            event.name(),
                            event.before().get().current().hash(),
                            event.after().get().current().hash())
                    .commit();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void step(EngineStatistics statistics, long nanos) {
        new EngineStepEvent(
                        statistics.running(),
                        statistics.waiting(),
                        statistics.usedKvBlocks(),
                        nanos)
                .commit();
    }
}
