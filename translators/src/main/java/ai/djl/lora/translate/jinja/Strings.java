/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

/** What Python does with texts, whose characters are Unicode's and not Java's. */
final class Strings {

    private Strings() {}

    /** Tells whether Python counts a character as white space. */
    static boolean isSpace(int c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85;
    }

    static int length(String text) {
        return text.codePointCount(0, text.length());
    }

    static String strip(String text) {
        return stripStart(stripEnd(text));
    }

    static String stripStart(String text) {
        int start = 0;
        while (start < text.length() && isSpace(text.charAt(start))) {
            ++start;
        }
        return text.substring(start);
    }

    static String stripEnd(String text) {
        int end = text.length();
        while (end > 0 && isSpace(text.charAt(end - 1))) {
            --end;
        }
        return text.substring(0, end);
    }

    static String stripStart(String text, String characters) {
        int start = 0;
        while (start < text.length() && characters.indexOf(text.codePointAt(start)) >= 0) {
            start += Character.charCount(text.codePointAt(start));
        }
        return text.substring(start);
    }

    static String stripEnd(String text, String characters) {
        int end = text.length();
        while (end > 0 && characters.indexOf(text.codePointBefore(end)) >= 0) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(0, end);
    }

    /** Returns a text with its first character in upper case and all others in lower case. */
    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int second = text.offsetByCodePoints(0, 1);
        return upper(text.substring(0, second)) + lower(text.substring(second));
    }

    static String upper(String text) {
        return text.toUpperCase(java.util.Locale.ROOT);
    }

    static String lower(String text) {
        return text.toLowerCase(java.util.Locale.ROOT);
    }

    /** Tells whether a text has letters with case and all are in upper case. */
    static boolean isUpper(String text) {
        return text.codePoints().anyMatch(Character::isUpperCase)
                && text.codePoints()
                        .noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
    }

    /** Tells whether a text has letters with case and all are in lower case. */
    static boolean isLower(String text) {
        return text.codePoints().anyMatch(Character::isLowerCase)
                && text.codePoints()
                        .noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
    }

    /** Returns what a string literal stands for; escapes that Python does not know stay. */
    static String unescape(String literal) {
        if (literal.indexOf('\\') < 0) {
            return literal;
        }
        StringBuilder text = new StringBuilder();
        int i = 0;
        while (i < literal.length()) {
            char c = literal.charAt(i++);
            if (c != '\\' || i == literal.length()) {
                text.append(c);
                continue;
            }
            char escape = literal.charAt(i++);
            int simple = "\\'\"abfnrtv\n".indexOf(escape);
            int digits =
                    switch (escape) {
                        case 'x' -> 2;
                        case 'u' -> 4;
                        case 'U' -> 8;
                        default -> 0;
                    };
            if (simple >= 0) {
                // a backslash at the end of a line joins it with the next
                text.append(escape == '\n' ? "" : "\\'\"\u0007\b\f\n\r\t\u000b".charAt(simple));
            } else if (digits > 0) {
                text.appendCodePoint(code(literal, i, digits, 16));
                i += digits;
            } else if (escape >= '0' && escape <= '7') {
                int end = i;
                while (end < Math.min(i + 2, literal.length())
                        && literal.charAt(end) >= '0'
                        && literal.charAt(end) <= '7') {
                    ++end;
                }
                text.appendCodePoint(code(literal, i - 1, end - i + 1, 8));
                i = end;
            } else {
                text.append('\\').append(escape);
            }
        }
        return text.toString();
    }

    private static int code(String literal, int start, int digits, int base) {
        try {
            int code = Integer.parseInt(literal.substring(start, start + digits), base);
            if (Character.isValidCodePoint(code)) {
                return code;
            }
        } catch (NumberFormatException | StringIndexOutOfBoundsException e) {
            // said below, like a number that is too large
            return invalid();
        }
        return invalid();
    }

    private static int invalid() {
        throw new TemplateException("a string has an escape that is no character");
    }
}
