/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts a template's source into tokens, with {@code trim_blocks} and {@code lstrip_blocks} on and
 * {@code keep_trailing_newline} off, as transformers sets them: the newline behind a statement or
 * comment and the spaces before one on its line are no text.
 */
final class Lexer {

    private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{N}_]*");
    private static final Pattern NUMBER =
            Pattern.compile(
                    "(?<float>\\d+(?:_\\d+)*(?:(?:\\.\\d+(?:_\\d+)*)?[eE][+-]?\\d+|\\.\\d+(?:_\\d+)*))"
                            + "|(?<integer>\\d+(?:_\\d+)*)");
    private static final Pattern ENDRAW =
            Pattern.compile("\\{%([-+]?)\\s*endraw\\s*(?:(\\+%\\})|(-%\\}\\s*)|%\\}\\n?)");
    private static final Pattern RAW = Pattern.compile("\\{%[-+]?\\s*raw\\s*(?:-%\\}\\s*|%\\})");

    /** Longest first. */
    private static final String[] OPERATORS = {
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "|", ".",
        ",", ":", "(", ")", "[", "]", "{", "}"
    };

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int position;
    private int line = 1;

    /** Whether the text begins at the start of a line, also where the newline was taken away. */
    private boolean atLineStart = true;

    private Lexer(String source) {
        this.source = source;
    }

    /**
     * Cuts a source into tokens.
     *
     * @param source the template
     * @return its tokens, with {@link Token.Type#END} as the last
     */
    static List<Token> tokens(String source) {
        String unified = source.replace("\r\n", "\n").replace('\r', '\n');
        if (unified.endsWith("\n")) {
            unified = unified.substring(0, unified.length() - 1);
        }
        return new Lexer(unified).run();
    }

    private List<Token> run() {
        while (position < source.length()) {
            int tag = nextTag();
            if (tag < 0) {
                add(Token.Type.DATA, source.substring(position));
                break;
            }
            char kind = source.charAt(tag + 1);
            char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
            addText(source.substring(position, tag), sign, kind != '{');
            count(position, tag);
            position = tag;
            if (kind == '#') {
                comment();
            } else if (kind == '%' && isRaw()) {
                raw();
            } else {
                tag(kind, sign);
            }
        }
        tokens.add(new Token(Token.Type.END, "", line));
        return tokens;
    }

    private int nextTag() {
        for (int i = source.indexOf('{', position); i >= 0; i = source.indexOf('{', i + 1)) {
            if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
                return i;
            }
        }
        return -1;
    }

    /** Adds the text before a tag, less what the tag takes away. */
    private void addText(String text, char sign, boolean strips) {
        String kept = text;
        if (sign == '-') {
            kept = Strings.stripEnd(text);
        } else if (sign != '+' && strips) {
            int start = text.lastIndexOf('\n') + 1;
            if ((start > 0 || atLineStart) && Strings.strip(text.substring(start)).isEmpty()) {
                kept = text.substring(0, start);
            }
        }
        add(Token.Type.DATA, kept);
    }

    private void comment() {
        int end = source.indexOf("#}", position + 2);
        if (end < 0) {
            throw new TemplateException("a comment is not closed").at(line);
        }
        int behind = afterEnd(end, source.charAt(end - 1), true);
        count(position, behind);
        position = behind;
    }

    private boolean isRaw() {
        return RAW.matcher(source).region(position, source.length()).lookingAt();
    }

    private void raw() {
        Matcher begin = RAW.matcher(source).region(position, source.length());
        Matcher end = ENDRAW.matcher(source);
        if (!begin.lookingAt() || !end.find(begin.end())) {
            throw new TemplateException("raw is not closed by endraw").at(line);
        }
        String text = source.substring(begin.end(), end.start());
        char sign = end.group(1).isEmpty() ? ' ' : end.group(1).charAt(0);
        atLineStart = source.charAt(begin.end() - 1) == '\n';
        addText(text, sign, true);
        count(position, end.end());
        position = end.end();
        atLineStart = source.charAt(position - 1) == '\n';
    }

    private void tag(char kind, char sign) {
        boolean statement = kind == '%';
        tokens.add(
                new Token(
                        statement ? Token.Type.BLOCK_BEGIN : Token.Type.VARIABLE_BEGIN, "", line));
        position += sign == '-' || sign == '+' ? 3 : 2;
        String close = statement ? "%}" : "}}";
        Deque<Character> open = new ArrayDeque<>();
        while (true) {
            skipSpace();
            if (position >= source.length()) {
                throw new TemplateException("a tag is not closed by " + close).at(line);
            }
            char c = source.charAt(position);
            boolean signed =
                    (c == '-' || c == '+' && statement) && source.startsWith(close, position + 1);
            if (open.isEmpty() && (signed || source.startsWith(close, position))) {
                tokens.add(
                        new Token(
                                statement ? Token.Type.BLOCK_END : Token.Type.VARIABLE_END,
                                "",
                                line));
                int behind =
                        afterEnd(signed ? position + 1 : position, signed ? c : ' ', statement);
                count(position, behind);
                position = behind;
                return;
            }
            expressionToken(c, open);
        }
    }

    /** Returns where the text behind a tag begins, whose two closing characters are at an index. */
    private int afterEnd(int end, char sign, boolean trims) {
        int behind = end + 2;
        if (sign == '-') {
            while (behind < source.length() && Strings.isSpace(source.charAt(behind))) {
                ++behind;
            }
        } else if (sign != '+' && trims && source.startsWith("\n", behind)) {
            ++behind;
        }
        atLineStart = source.charAt(behind - 1) == '\n';
        return behind;
    }

    private void expressionToken(char c, Deque<Character> open) {
        Matcher name = NAME.matcher(source).region(position, source.length());
        Matcher number = NUMBER.matcher(source).region(position, source.length());
        if (name.lookingAt()) {
            take(Token.Type.NAME, name.end());
        } else if (number.lookingAt()) {
            boolean whole = number.group("integer") != null;
            take(whole ? Token.Type.INTEGER : Token.Type.FLOAT, number.end());
        } else if (c == '"' || c == '\'') {
            string(c);
        } else {
            operator(open);
        }
    }

    private void operator(Deque<Character> open) {
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, position)) {
                char c = operator.charAt(0);
                if ("([{".indexOf(c) >= 0) {
                    open.push(c);
                } else if (")]}".indexOf(c) >= 0) {
                    char opener = "([{".charAt(")]}".indexOf(c));
                    if (open.isEmpty() || open.pop() != opener) {
                        throw new TemplateException("'" + c + "' closes nothing").at(line);
                    }
                }
                take(Token.Type.OPERATOR, position + operator.length());
                return;
            }
        }
        throw new TemplateException("unexpected character '" + source.charAt(position) + "'")
                .at(line);
    }

    private void string(char quote) {
        int end = position + 1;
        while (end < source.length() && source.charAt(end) != quote) {
            end += source.charAt(end) == '\\' ? 2 : 1;
        }
        if (end >= source.length()) {
            throw new TemplateException("a string is not closed").at(line);
        }
        String text = Strings.unescape(source.substring(position + 1, end));
        tokens.add(new Token(Token.Type.STRING, text, line));
        count(position, end + 1);
        position = end + 1;
    }

    private void take(Token.Type type, int end) {
        tokens.add(new Token(type, source.substring(position, end), line));
        position = end;
    }

    private void add(Token.Type type, String text) {
        if (!text.isEmpty()) {
            tokens.add(new Token(type, text, line));
        }
    }

    private void skipSpace() {
        int start = position;
        while (position < source.length() && Strings.isSpace(source.charAt(position))) {
            ++position;
        }
        count(start, position);
    }

    private void count(int from, int to) {
        for (int i = from; i < to; ++i) {
            if (source.charAt(i) == '\n') {
                ++line;
            }
        }
    }
}
