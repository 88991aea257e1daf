/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

/** Thrown when a file's bytes are not what was written. */
final class DamageException extends Exception {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code DamageException} instance.
     *
     * @param offset where the damage is, in bytes from the file's start
     * @param what what is wrong, to follow a colon
     */
    DamageException(long offset, String what) {
        super("damaged at byte " + offset + ": " + what);
    }
}
