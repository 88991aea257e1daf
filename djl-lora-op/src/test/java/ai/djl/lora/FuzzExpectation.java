/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** What every reader must do with every input: read it, or refuse it in one line of its own. */
public final class FuzzExpectation {

    private static final int MAX_MESSAGE = 4096;

    private FuzzExpectation() {}

    /** Runs a reader; any failure that is not a refusal goes on to the fuzzer. */
    public static void check(Runnable reader) {
        try {
            reader.run();
        } catch (LoraException e) {
            String message = e.getMessage();
            if (message.length() > MAX_MESSAGE) {
                throw new AssertionError("a message of " + message.length() + " characters", e);
            }
            boolean forged =
                    message.chars()
                            .anyMatch(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x2029);
            if (forged) {
                throw new AssertionError("a message of more than one line: " + message, e);
            }
        }
    }

    /** Fails where something that a reader promises does not hold. */
    public static void promise(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("does not hold: " + what);
        }
    }
}
