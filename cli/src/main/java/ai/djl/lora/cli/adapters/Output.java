/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a command writes. */
final class Output {

    private Output() {}

    /**
     * Refuses to replace what is there, before any work is done.
     *
     * @param target what is to be written
     * @param force whether to replace what is there
     * @throws LoraConfigurationException if something is there
     */
    static void checkFree(Path target, boolean force) {
        if (!force && Files.exists(target)) {
            throw new LoraConfigurationException(
                    Message.oneLine(target.toString())
                            + ": is there already; it is replaced with --force alone");
        }
    }
}
