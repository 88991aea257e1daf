/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

/**
 * What rendering may still cost. A template may come from anybody, and a few nested loops or
 * doubled texts would keep a server busy for ever.
 */
final class Budget {

    private final int maxOutput;
    private final long maxWork;
    private long work;

    /**
     * Constructs a new {@code Budget} instance.
     *
     * @param maxOutput how many characters a text may have
     * @param maxWork how many steps there may be, a character or item that is made counting as one
     */
    Budget(int maxOutput, long maxWork) {
        this.maxOutput = maxOutput;
        this.maxWork = maxWork;
    }

    /** Pays for a step. */
    void step() {
        spend(1);
    }

    /** Pays for some steps, characters or items. */
    void spend(long steps) {
        work += steps;
        if (work > maxWork) {
            throw new TemplateException("rendering takes more than " + maxWork + " steps");
        }
    }

    /** Pays for a text that is about to be made. */
    void text(long length) {
        append(length, length);
    }

    /** Pays for what is about to be added to a text, which has some length then. */
    void append(long added, long length) {
        if (length > maxOutput) {
            throw new TemplateException("a text would have more than " + maxOutput + " characters");
        }
        spend(added);
    }
}
