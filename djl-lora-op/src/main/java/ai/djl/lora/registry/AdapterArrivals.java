/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.nio.file.Path;

/** Is told which adapters lie in a watched directory, by one thread at a time. */
public interface AdapterArrivals {

    /**
     * Takes an adapter that is whole, as far as can be told without reading it: nothing in it has
     * changed for the settling time. Called again when it has changed since.
     *
     * <p>What is thrown means that the adapter is refused. It is reported once, and the adapter is
     * tried again when it has changed, or after a back-off.
     *
     * @param adapter the folder or archive
     * @param fingerprint a hash over names, sizes, times of change and identities of its files;
     *     kept with the adapter and given to the next watcher, it spares reading what has not
     *     changed
     */
    void arrived(Path adapter, String fingerprint);

    /**
     * Takes the news that an adapter that had been taken is no longer there, or no longer an
     * adapter. What is thrown is reported once and tried again after a back-off.
     *
     * @param adapter the folder or archive that was there
     */
    void gone(Path adapter);
}
