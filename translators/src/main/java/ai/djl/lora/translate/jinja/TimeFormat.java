/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** Writes a time as C's {@code strftime} does in the C locale. */
final class TimeFormat {

    private TimeFormat() {}

    /**
     * Writes a time.
     *
     * @param format text with places such as {@code %d}; a minus behind the sign leaves out zeros
     * @param time the time
     * @return the text
     */
    static String format(String format, ZonedDateTime time) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < format.length(); ++i) {
            if (format.charAt(i) != '%' || i + 1 == format.length()) {
                text.append(format.charAt(i));
                continue;
            }
            boolean bare = format.charAt(i + 1) == '-' && i + 2 < format.length();
            i += bare ? 2 : 1;
            String shown = field(format.charAt(i), time);
            text.append(bare ? shown.replaceFirst("^[0 ]+(?=\\d)", "") : shown);
        }
        return text.toString();
    }

    private static String field(char name, ZonedDateTime time) {
        String pattern =
                switch (name) {
                    case 'd' -> "dd";
                    case 'e' -> "ppd";
                    case 'm' -> "MM";
                    case 'b', 'h' -> "MMM";
                    case 'B' -> "MMMM";
                    case 'y' -> "yy";
                    case 'Y' -> "yyyy";
                    case 'a' -> "EEE";
                    case 'A' -> "EEEE";
                    case 'j' -> "DDD";
                    case 'H' -> "HH";
                    case 'I' -> "hh";
                    case 'M' -> "mm";
                    case 'S' -> "ss";
                    case 'f' -> "SSSSSS";
                    case 'p' -> "a";
                    case 'F' -> "yyyy-MM-dd";
                    case 'D' -> "MM/dd/yy";
                    case 'T' -> "HH:mm:ss";
                    case 'R' -> "HH:mm";
                    case '%' -> "'%'";
                    // transformers gives it a time without a zone
                    case 'Z', 'z' -> "''";
                    default ->
                            throw new TemplateException(
                                    "strftime_now: the place %" + name + " is not supported");
                };
        if ("''".equals(pattern)) {
            return "";
        }
        return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(time);
    }
}
