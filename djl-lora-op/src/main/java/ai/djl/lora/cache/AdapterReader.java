/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraContext;
import java.nio.file.Path;

/** Reads an adapter from its files and checks it against a model. */
@FunctionalInterface
interface AdapterReader {

    /**
     * Reads an adapter.
     *
     * @param source the adapter's folder or file
     * @param context the model's context
     * @return the adapter in the host's memory
     * @throws ai.djl.lora.LoraException if it cannot be read or does not fit
     */
    LoraAdapter read(Path source, LoraContext context);
}
