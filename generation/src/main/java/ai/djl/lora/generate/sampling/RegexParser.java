/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;

/**
 * Compiles the regular expressions that {@code java.util.regex} and ECMAScript read alike: literal
 * characters, {@code .}, classes, groups, alternatives and quantifiers. Where the two differ in
 * what a construct matches, what both match is taken; what only one of them knows, or what no
 * automaton can follow, is refused.
 */
final class RegexParser {

    private static final int MAX_DEPTH = 64;
    private static final int MAX_REPETITIONS = 100_000;

    private final String pattern;
    private final int[] input;
    private int at;
    private int depth;

    private RegexParser(String pattern) {
        this.pattern = pattern;
        this.input = pattern.codePoints().toArray();
    }

    /**
     * Compiles an expression that must match a whole text.
     *
     * @param pattern the expression
     * @return the automaton over code points
     * @throws LoraConfigurationException naming what is not supported
     */
    static Automaton whole(String pattern) {
        return new RegexParser(pattern).parse(false);
    }

    /**
     * Compiles an expression that must match somewhere in a text, as JSON schema has it.
     *
     * @param pattern the expression
     * @return the automaton over the code points of the texts in which it occurs
     * @throws LoraConfigurationException naming what is not supported
     */
    static Automaton search(String pattern) {
        return new RegexParser(pattern).parse(true);
    }

    private Automaton parse(boolean search) {
        List<Automaton> branches = new ArrayList<>();
        do {
            boolean anchored = take('^');
            Automaton branch = branch();
            boolean end = take('$');
            if (at < input.length && input[at] != '|') {
                throw refuse("\"" + Character.toString(input[at]) + "\" is not supported here");
            }
            if (search && !anchored) {
                branch = TextAutomata.sequence(anything(), branch);
            }
            if (search && !end) {
                branch = TextAutomata.sequence(branch, anything());
            }
            branches.add(branch);
        } while (take('|'));
        return TextAutomata.either(branches);
    }

    private static Automaton anything() {
        return TextAutomata.repeat(TextAutomata.anyCharacter(), 0, -1);
    }

    /** Reads terms up to a bar, a dollar sign, a closing parenthesis or the end. */
    private Automaton branch() {
        List<Automaton> terms = new ArrayList<>();
        while (at < input.length && "|)$".indexOf(input[at]) < 0) {
            terms.add(quantified(atom()));
        }
        return terms.isEmpty()
                ? Automata.makeEmptyString()
                : TextAutomata.sequence(terms.toArray(new Automaton[0]));
    }

    private Automaton atom() {
        int c = input[at++];
        switch (c) {
            case '(':
                return group();
            case '[':
                return TextAutomata.oneOf(characterClass());
            case '.':
                return TextAutomata.oneOf(complement(set('\n', '\r', 0x85, 0x2028, 0x2029)));
            case '\\':
                return TextAutomata.oneOf(escape());
            case '*', '+', '?', '{':
                --at;
                throw refuse("\"" + (char) c + "\" has nothing to repeat; escape a literal one");
            case '^':
                --at;
                throw refuse("\"^\" is supported at the start of the whole expression alone");
            default:
                return TextAutomata.oneOf(set(c));
        }
    }

    private Automaton group() {
        int start = at - 1;
        if (++depth > MAX_DEPTH) {
            throw refuse("groups nest deeper than " + MAX_DEPTH);
        }
        if (take('?') && !take(':')) {
            throw refuse("\"(?\" is supported as \"(?:\" alone");
        }
        List<Automaton> branches = new ArrayList<>();
        do {
            branches.add(branch());
            if (at < input.length && input[at] == '$') {
                throw refuse("\"$\" is supported at the end of the whole expression alone");
            }
        } while (take('|'));
        if (!take(')')) {
            at = start;
            throw refuse("the group is not closed");
        }
        --depth;
        return TextAutomata.either(branches);
    }

    private Automaton quantified(Automaton atom) {
        int min;
        int max;
        if (take('*')) {
            min = 0;
            max = -1;
        } else if (take('+')) {
            min = 1;
            max = -1;
        } else if (take('?')) {
            min = 0;
            max = 1;
        } else if (take('{')) {
            min = number();
            max = min;
            if (take(',')) {
                max = at < input.length && input[at] == '}' ? -1 : number();
            }
            if (!take('}')) {
                throw refuse("a repetition must be {n}, {n,} or {n,m}");
            }
            if (max >= 0 && max < min) {
                throw refuse("the repetition's bounds are the wrong way round");
            }
        } else {
            return atom;
        }
        // which of several matches is taken first does not change what the whole text may be
        take('?');
        if (at < input.length && input[at] == '+') {
            throw refuse("possessive quantifiers are not supported");
        }
        return TextAutomata.repeat(atom, min, max);
    }

    private int number() {
        int start = at;
        int value = 0;
        while (at < input.length && input[at] >= '0' && input[at] <= '9') {
            value = 10 * value + input[at++] - '0';
            if (value > MAX_REPETITIONS) {
                throw refuse("a repetition may go up to " + MAX_REPETITIONS);
            }
        }
        if (at == start) {
            throw refuse("a repetition must be {n}, {n,} or {n,m}");
        }
        return value;
    }

    private BitSet characterClass() {
        boolean negated = take('^');
        BitSet members = new BitSet();
        int start = at;
        while (at < input.length && (input[at] != ']' || at == start)) {
            int itemStart = at;
            BitSet item = classItem();
            boolean range = at + 1 < input.length && input[at] == '-' && input[at + 1] != ']';
            if (range) {
                ++at;
                BitSet last = classItem();
                if (item.cardinality() != 1 || last.cardinality() != 1) {
                    at = itemStart;
                    throw refuse("a range must go from one character to another");
                }
                int from = item.nextSetBit(0);
                int to = last.nextSetBit(0);
                if (to < from) {
                    at = itemStart;
                    throw refuse("a range must rise");
                }
                members.set(from, to + 1);
            } else {
                members.or(item);
            }
        }
        if (!take(']')) {
            throw refuse("the class is not closed");
        }
        return negated ? complement(members) : members;
    }

    private BitSet classItem() {
        int c = input[at];
        if (c == '[' || c == ']' || c == '^' || c == '&' && next() == '&') {
            throw refuse("\"" + (char) c + "\" in a class must be escaped");
        }
        ++at;
        return c == '\\' ? escape() : set(c);
    }

    private int next() {
        return at + 1 < input.length ? input[at + 1] : -1;
    }

    /** Reads what follows a backslash. */
    private BitSet escape() {
        if (at == input.length) {
            throw refuse("a backslash ends the expression");
        }
        int c = input[at++];
        switch (c) {
            case 'd':
                return digits();
            case 'D':
                return complement(digits());
            case 'w':
                return wordCharacters();
            case 'W':
                return complement(wordCharacters());
            case 's':
                return whitespace();
            case 'S':
                return complement(unicodeWhitespace());
            case 't':
                return set('\t');
            case 'n':
                return set('\n');
            case 'r':
                return set('\r');
            case 'f':
                return set('\f');
            case 'x':
                return set(hexadecimal(2));
            case 'u':
                return set(codeUnit());
            default:
                if (Character.isLetterOrDigit(c)) {
                    --at;
                    throw refuse("the escape \\" + Character.toString(c) + " is not supported");
                }
                return set(c);
        }
    }

    private int codeUnit() {
        int unit = hexadecimal(4);
        if (Character.isHighSurrogate((char) unit) && take('\\') && take('u')) {
            int low = hexadecimal(4);
            if (Character.isLowSurrogate((char) low)) {
                return Character.toCodePoint((char) unit, (char) low);
            }
        }
        if (unit >= Character.MIN_SURROGATE && unit <= Character.MAX_SURROGATE) {
            throw refuse("half a surrogate pair is no character");
        }
        return unit;
    }

    private int hexadecimal(int digits) {
        int value = 0;
        for (int i = 0; i < digits; ++i) {
            int digit = at < input.length && input[at] < 128 ? Character.digit(input[at], 16) : -1;
            if (digit < 0) {
                throw refuse("a hexadecimal digit is missing");
            }
            value = 16 * value + digit;
            ++at;
        }
        return value;
    }

    private boolean take(int c) {
        if (at < input.length && input[at] == c) {
            ++at;
            return true;
        }
        return false;
    }

    private LoraConfigurationException refuse(String reason) {
        return new LoraConfigurationException(
                "the regular expression "
                        + Message.quote(pattern)
                        + " cannot be followed: at character "
                        + at
                        + ", "
                        + Message.oneLine(reason));
    }

    private static BitSet set(int... codePoints) {
        BitSet set = new BitSet();
        for (int codePoint : codePoints) {
            set.set(codePoint);
        }
        return set;
    }

    private static BitSet complement(BitSet set) {
        BitSet complement = new BitSet();
        complement.set(0, Character.MAX_CODE_POINT + 1);
        complement.andNot(set);
        return complement;
    }

    private static BitSet digits() {
        BitSet digits = new BitSet();
        digits.set('0', '9' + 1);
        return digits;
    }

    private static BitSet wordCharacters() {
        BitSet characters = digits();
        characters.set('a', 'z' + 1);
        characters.set('A', 'Z' + 1);
        characters.set('_');
        return characters;
    }

    /** What both flavours hold for white space. */
    private static BitSet whitespace() {
        return set(' ', '\t', '\n', 0x0B, '\f', '\r');
    }

    /** What ECMAScript alone holds for white space, too. */
    private static BitSet unicodeWhitespace() {
        BitSet spaces = whitespace();
        spaces.or(set(0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF));
        spaces.set(0x2000, 0x200A + 1);
        return spaces;
    }
}
