/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

/** Thrown when a template cannot be read, or cannot be rendered with what it is given. */
public final class TemplateException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** Whether the template itself refused what it was given. */
    private final boolean refusal;

    /** Whether the message names the line. */
    private boolean placed;

    /**
     * Constructs a new {@code TemplateException} instance.
     *
     * @param message what failed
     */
    TemplateException(String message) {
        this(message, false);
    }

    private TemplateException(String message, boolean refusal) {
        super(message);
        this.refusal = refusal;
    }

    /** Returns what a template's call of {@code raise_exception} throws. */
    static TemplateException refusal(String message) {
        return new TemplateException(message, true);
    }

    /** Returns this failure with the line where it happened. */
    TemplateException at(int line) {
        if (refusal || placed) {
            return this;
        }
        TemplateException there = new TemplateException("line " + line + ": " + getMessage());
        there.setStackTrace(getStackTrace());
        there.placed = true;
        return there;
    }

    /**
     * Tells whether the template itself refused what it was given, by {@code raise_exception}.
     *
     * @return true if so
     */
    public boolean isRefusal() {
        return refusal;
    }
}
