/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import java.nio.file.Path;

/** Reads an adapter from its files and checks it against a model. */
@FunctionalInterface
interface AdapterReader {

    /**
     * Reads an adapter.
     *
     * @param source the adapter's folder or file
     * @param context the model's context
     * @param policy how strict to be
     * @return the adapter in the host's memory
     * @throws ai.djl.lora.LoraException if it cannot be read or does not fit
     */
    LoraAdapter read(Path source, LoraContext context, LoadingPolicy policy);

    /**
     * Reads the packed block of an adapter that was checked before.
     *
     * @param source the adapter's folder or file
     * @param image where in it the parts of the block lie
     * @return the packed adapter
     * @throws ai.djl.lora.LoraException if it cannot be read or has changed
     */
    default PackedAdapter read(Path source, DiskImage image) {
        return image.read(source);
    }
}
