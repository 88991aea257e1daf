/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

/** Is told of changes of the registry. */
@FunctionalInterface
public interface RegistryListener {

    /**
     * Takes a change. Changes come one at a time and in their order, outside the registry's locks,
     * in a thread that made this or a later change: what takes long belongs elsewhere. The registry
     * may be read and changed from here. What is thrown is logged.
     *
     * @param event the change
     */
    void onChange(RegistryEvent event);
}
