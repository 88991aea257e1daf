/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.memory.Registration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Those who are told what happens in a store. */
final class StoreEvents {

    private static final Logger logger = LoggerFactory.getLogger(StoreEvents.class);

    private final List<StoreRecorder> recorders = new CopyOnWriteArrayList<>();

    Registration add(StoreRecorder recorder) {
        recorders.add(recorder);
        return () -> recorders.remove(recorder);
    }

    void loaded(ManagedAdapter adapter, long nanos) {
        tell(
                recorder ->
                        recorder.loaded(
                                adapter.name(),
                                adapter.revision(),
                                adapter.deviceEntry().bytes(),
                                nanos));
    }

    void evicted(CacheEntry entry, boolean device, EvictionCause cause) {
        String id = entry.id();
        // an id is a name and a number
        String name = id.substring(0, id.lastIndexOf('#'));
        tell(recorder -> recorder.evicted(name, device, entry.bytes(), cause));
    }

    private void tell(Consumer<StoreRecorder> event) {
        for (StoreRecorder recorder : recorders) {
            try {
                event.accept(recorder);
            } catch (RuntimeException e) {
                logger.warn("A store's recorder failed", e);
            }
        }
    }
}
