/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/** A consumer or a listener that a {@link MemoryMonitor} knows, until this is closed. */
@FunctionalInterface
public interface Registration extends AutoCloseable {

    /** Makes the monitor forget it. A second call has no effect. */
    @Override
    void close();
}
