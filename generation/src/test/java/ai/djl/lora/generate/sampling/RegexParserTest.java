/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.CharacterRunAutomaton;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class RegexParserTest {

    @DataProvider
    public Object[][] expressions() {
        return new Object[][] {
            {""},
            {"a"},
            {"ab|b*|"},
            {"(a|b)*ab{2}"},
            {"a{0}b{1,}c{0,2}"},
            {"(?:ab?){2,3}?c+?"},
            {"[a-c]+"},
            {"[^a\\n]{2}"},
            {"[-a]|[b-]"},
            {"[\\d\\-x]*"},
            {"\\w\\W\\d?\\D?"},
            {"\\s[^\\s]"},
            {"a.b|.."},
            {"\\.\\*\\[\\]\\{\\}\\(\\)\\\\|\\^\\$"},
            {"\\x61\\u0062|\\t|\\ud83d\\ude42"},
            {"]}"},
            {"^a|b$"},
            {"^ab$|c"},
            {"((a)|(b(c)))+"},
        };
    }

    /** On characters that both flavours read alike, the automaton is java.util.regex's equal. */
    @Test(dataProvider = "expressions")
    public void testAgainstJava(String pattern) {
        Pattern java = Pattern.compile(pattern);
        CharacterRunAutomaton whole = run(RegexParser.whole(pattern));
        CharacterRunAutomaton search = run(RegexParser.search(pattern));
        String[] letters = {
            "a", "b", "c", "x", "1", " ", "-", ".", "\n", "\t", "🙂", "é", "]", "}"
        };
        Random random = new Random(8);
        int matches = 0;
        for (int i = 0; i < 20_000; ++i) {
            StringBuilder builder = new StringBuilder();
            int length = random.nextInt(7);
            int alphabet = random.nextBoolean() ? 3 : letters.length;
            for (int j = 0; j < length; ++j) {
                builder.append(letters[random.nextInt(alphabet)]);
            }
            String text = builder.toString();
            Matcher matcher = java.matcher(text);
            boolean expected = matcher.matches();
            matches += expected ? 1 : 0;
            Assert.assertEquals(whole.run(text), expected, pattern + " against " + text);
            // Java's $ also stands before a last line break, ECMAScript's does not
            if (!text.endsWith("\n") || !pattern.contains("$")) {
                Assert.assertEquals(
                        search.run(text), matcher.reset().find(), pattern + " in " + text);
            }
        }
        Assert.assertTrue(matches > 0 || pattern.startsWith("\\."), "no text matched " + pattern);
    }

    private static CharacterRunAutomaton run(Automaton automaton) {
        return new CharacterRunAutomaton(TextAutomata.minimize(automaton));
    }

    @DataProvider
    public Object[][] refused() {
        return new Object[][] {
            {"a**", "at character 2, \"*\" has nothing to repeat; escape a literal one"},
            {"a{2", "at character 3, a repetition must be {n}, {n,} or {n,m}"},
            {"a{x}", "at character 2, a repetition must be {n}, {n,} or {n,m}"},
            {"a{3,2}", "at character 6, the repetition's bounds are the wrong way round"},
            {"a{100001}", "at character 8, a repetition may go up to 100000"},
            {"a*+", "at character 2, possessive quantifiers are not supported"},
            {"(a", "at character 0, the group is not closed"},
            {"a)", "at character 1, \")\" is not supported here"},
            {"a$b", "at character 2, \"b\" is not supported here"},
            {
                "a^b",
                "at character 1, \"^\" is supported at the start of the whole expression alone"
            },
            {"(a$)", "at character 2, \"$\" is supported at the end of the whole expression alone"},
            {"(?=a)", "at character 2, \"(?\" is supported as \"(?:\" alone"},
            {"(?<n>a)", "at character 2, \"(?\" is supported as \"(?:\" alone"},
            {"(?i)a", "at character 2, \"(?\" is supported as \"(?:\" alone"},
            {"\\bword", "at character 1, the escape \\b is not supported"},
            {"(a)\\1", "at character 4, the escape \\1 is not supported"},
            {"\\p{L}", "at character 1, the escape \\p is not supported"},
            {"\\", "at character 1, a backslash ends the expression"},
            {"\\x6", "at character 3, a hexadecimal digit is missing"},
            {"\\ud83d", "at character 6, half a surrogate pair is no character"},
            {"[a", "at character 2, the class is not closed"},
            {"[]a]", "at character 1, \"]\" in a class must be escaped"},
            {"[a&&b]", "at character 2, \"&\" in a class must be escaped"},
            {"[a[b]]", "at character 2, \"[\" in a class must be escaped"},
            {"[z-a]", "at character 1, a range must rise"},
            {"[\\d-z]", "at character 1, a range must go from one character to another"},
        };
    }

    @Test(dataProvider = "refused")
    public void testWhatIsNotFollowedIsRefused(String pattern, String reason) {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> RegexParser.whole(pattern));
        Assert.assertEquals(
                e.getMessage(),
                "the regular expression \"" + pattern + "\" cannot be followed: " + reason);
    }

    @Test
    public void testTooLargeIsRefusedAtOnce() {
        ConstraintCompiler compiler = new ConstraintCompiler(new ByteVocabulary());
        for (String pattern :
                new String[] {"(a{90000}){90000}", "(.{300}){300}", "(a|b)*a(a|b){40}"}) {
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class,
                            () -> compiler.compile(new OutputConstraint.Regex(pattern)));
            Assert.assertEquals(
                    e.getMessage(),
                    "the constraint is too large: its automaton may have 60000 states; smaller bounds of"
                            + " repetitions make it smaller");
        }
        String nested = "(".repeat(65) + ")".repeat(65);
        Assert.expectThrows(
                LoraConfigurationException.class,
                () -> compiler.compile(new OutputConstraint.Regex(nested)));
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> compiler.compile(new OutputConstraint.Regex("[^\\d\\D]")));
        Assert.assertEquals(e.getMessage(), "the constraint accepts no text");
    }
}
