/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.json;

/**
 * Shows text that came from outside in messages.
 *
 * <p>Names in a file are chosen by whoever wrote the file: one that holds line breaks would forge
 * lines in a log, and one of a megabyte would flood it.
 */
public final class Message {

    private static final int MAX_QUOTED = 120;

    private static final int MAX_BRIEF = 300;

    private Message() {}

    /**
     * Returns text in quotes, shortened to about 120 characters, without control characters.
     *
     * @param text the text
     * @return what to show
     */
    public static String quote(String text) {
        String shown =
                text.length() <= MAX_QUOTED
                        ? text
                        : text.substring(0, MAX_QUOTED) + "... (" + text.length() + " characters)";
        return '"' + oneLine(shown) + '"';
    }

    /**
     * Returns what somebody else's failure says, shortened to about 300 characters: a library's
     * message may quote as much of a file as the file has to offer.
     *
     * @param failure the failure
     * @return what to show, on one line
     */
    public static String brief(Throwable failure) {
        // the message alone may be no more than a file's name
        String name = failure.getClass().getSimpleName();
        String text = failure.getMessage() == null ? name : name + ": " + failure.getMessage();
        return oneLine(text.length() <= MAX_BRIEF ? text : text.substring(0, MAX_BRIEF) + "...");
    }

    /**
     * Returns text with each control character and line separator replaced by its escape.
     *
     * @param text the text
     * @return the text on one line
     */
    public static String oneLine(String text) {
        StringBuilder builder = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isISOControl(c) || c == '\u2028' || c == '\u2029') {
                builder.append(String.format("\\u%04x", (int) c));
            } else {
                builder.append(c);
            }
        }
        return builder.toString();
    }
}
