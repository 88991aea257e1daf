/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import com.networknt.schema.InputFormat;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Random walks through what a constraint allows end in texts that other readers accept. */
public class ConstraintTest {

    private static final int WALKS = 60;

    private final ByteVocabulary vocabulary = new ByteVocabulary();
    private final ConstraintCompiler compiler = new ConstraintCompiler(vocabulary);

    @DataProvider
    public Object[][] expressions() {
        return new Object[][] {
            {"[a-z]{2,5}@[a-z]+\\.(com|org)"},
            {"(\\d{4})-(0[1-9]|1[0-2])-[0-3]\\d"},
            {"^(yes|no|maybe)$"},
            {".{0,12}"},
            {"[^\\x00-\\x7f]{1,4}"},
            {"(?:日本|🙂)+?x\\s\\S\\w\\W"},
            {"a?(b|c*)d{3}|\\u65e5{2}"},
            {"[\\w.+-]+"},
        };
    }

    @Test(dataProvider = "expressions")
    public void testRegexWalks(String pattern) throws CharacterCodingException {
        Random random = new Random(1);
        Pattern expected = Pattern.compile(pattern);
        Set<String> texts = new HashSet<>();
        for (int i = 0; i < WALKS; ++i) {
            String text = walk(new OutputConstraint.Regex(pattern), random);
            Assert.assertTrue(expected.matcher(text).matches(), text);
            texts.add(text);
        }
        Assert.assertTrue(texts.size() > 2, "walks are random: " + texts);
    }

    @Test
    public void testChoiceWalks() throws CharacterCodingException {
        List<String> choices = List.of("red", "redder", "blau", "grün", "🙂", "{\"a\": 1}");
        Random random = new Random(2);
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < 300; ++i) {
            seen.add(walk(new OutputConstraint.Choice(choices), random));
        }
        Assert.assertEquals(seen, Set.copyOf(choices));
    }

    @Test
    public void testJsonObjectWalks() throws CharacterCodingException {
        Random random = new Random(3);
        int deepest = 0;
        for (int i = 0; i < WALKS; ++i) {
            String text = walk(new OutputConstraint.JsonObject(), random);
            // Gson refuses the same name twice, which no automaton can remember; Jackson does not
            Assert.assertTrue(schema("{}").validate(text, InputFormat.JSON).isEmpty(), text);
            Assert.assertEquals(text.charAt(0), '{');
            deepest = Math.max(deepest, depth(text));
        }
        Assert.assertTrue(
                deepest > 2 && deepest <= ConstraintCompiler.JSON_OBJECT_DEPTH, "depth " + deepest);
    }

    @DataProvider
    public Object[][] schemas() {
        return new Object[][] {
            {"{'type': 'string'}"},
            {"{'type': 'string', 'minLength': 2, 'maxLength': 4}"},
            {"{'type': 'string', 'pattern': '^[A-Z]{2}[^a]?$'}"},
            {"{'type': 'string', 'pattern': 'ab|^x|y$', 'maxLength': 6}"},
            {"{'type': 'string', 'pattern': '^[\\\\\\\\\\\"\\\\n/]{1,3}$'}"},
            {"{'type': 'integer'}"},
            {"{'type': 'integer', 'minimum': -12, 'maximum': 345}"},
            {"{'type': 'integer', 'exclusiveMinimum': 9.5, 'exclusiveMaximum': 1e3}"},
            {"{'type': 'number', 'description': 'how much', 'default': 1}"},
            {"{'type': ['boolean', 'null', 'integer']}"},
            {"{'enum': ['a', 1, 1.5, null, true, {'k': ['é', '\\u0001']}, []]}"},
            {"{'const': {'a': {'b': 'c d'}}}"},
            {"{'type': 'string', 'enum': ['red', 'green']}"},
            {"{'type': 'array', 'items': {'type': 'integer'}, 'minItems': 2, 'maxItems': 3}"},
            {"{'type': 'array', 'items': {'type': 'boolean'}, 'maxItems': 0}"},
            {"{'type': 'array', 'items': {'type': 'null'}, 'minItems': 3}"},
            {"{'type': 'array'}"},
            {"{'type': 'object'}"},
            {"{}"},
            {"{'type': 'object', 'additionalProperties': false}"},
            {"{'type': 'object', 'additionalProperties': {'type': 'integer'}}"},
            {
                "{'type': 'object', 'properties': {'name': {'type': 'string', 'maxLength': 9},"
                        + " 'age': {'type': 'integer'}, 'ok': {'type': 'boolean'}, 'x': true},"
                        + " 'required': ['age'], 'additionalProperties': false}"
            },
            {
                "{'type': 'object', 'properties': {'a': {'type': 'null'}, 'b': {'type': 'null'},"
                        + " 'c': {'type': 'null'}}, 'additionalProperties': false}"
            },
            {
                "{'type': 'object', 'properties': {'pets': {'type': 'array', 'minItems': 1,"
                        + " 'items': {'$ref': '#/$defs/pet'}}}, 'required': ['pets'],"
                        + " '$defs': {'pet': {'oneOf': [{'$ref': '#/$defs/cat'},"
                        + " {'$ref': '#/$defs/dog'}]}, 'cat': {'type': 'object', 'properties':"
                        + " {'kind': {'const': 'cat'}, 'lives': {'type': 'integer'}}, 'required':"
                        + " ['kind', 'lives']}, 'dog': {'type': 'object', 'properties': {'kind':"
                        + " {'const': 'dog'}, 'name': {'type': 'string'}}, 'required': ['kind']}}}"
            },
            {"{'anyOf': [{'type': 'integer'}, {'type': 'number'}, {'enum': ['none']}]}"},
            {"{'oneOf': [{'type': 'string'}, {'type': 'array', 'items': {}}, {'const': 1}]}"},
        };
    }

    @Test(dataProvider = "schemas")
    public void testSchemaWalks(String quoted) throws CharacterCodingException {
        String json = quoted.replace('\'', '"');
        JsonSchema expected = schema(json);
        Random random = new Random(4);
        for (int i = 0; i < WALKS; ++i) {
            String text = walk(new OutputConstraint.JsonSchema(json), random);
            Set<?> complaints = expected.validate(text, InputFormat.JSON);
            Assert.assertTrue(complaints.isEmpty(), text + ": " + complaints);
        }
    }

    @Test
    public void testOptionalMembersComeInEveryCombination() throws CharacterCodingException {
        String json = ((String) schemas()[22][0]).replace('\'', '"');
        Random random = new Random(5);
        Set<Set<String>> seen = new HashSet<>();
        for (int i = 0; i < 300; ++i) {
            String text = walk(new OutputConstraint.JsonSchema(json), random);
            seen.add(Set.copyOf(StrictJson.parseObject(text, "text").keySet()));
        }
        Assert.assertEquals(seen.size(), 8);
    }

    @Test
    public void testTheMaskIsWhatSingleTokensSay() {
        TokenTrie trie = new TokenTrie(vocabulary);
        CompiledConstraint constraint =
                new CompiledConstraint(
                        TextAutomata.toUtf8(
                                JsonSchemaCompiler.compile(
                                        ((String) schemas()[21][0]).replace('\'', '"'))),
                        trie,
                        vocabulary,
                        new MaskCache());
        Random random = new Random(6);
        int state = CompiledConstraint.START;
        for (int i = 0; i < 300; ++i) {
            BitSet allowed = BitSet.valueOf(constraint.mask(state));
            for (int token = 0; token < vocabulary.size(); ++token) {
                byte[] text = vocabulary.bytes(token);
                boolean expected =
                        text != null && text.length > 0 && constraint.step(state, text) >= 0;
                Assert.assertEquals(allowed.get(token), expected, "token " + token);
            }
            if (constraint.isLast(state)) {
                state = CompiledConstraint.START;
            } else {
                state = constraint.step(state, vocabulary.bytes(pick(allowed, random)));
            }
        }
    }

    @Test
    public void testASamplerObeysItsConstraint() {
        SamplingParameters parameters =
                SamplingParameters.builder()
                        .temperature(1)
                        .constraint(new OutputConstraint.Choice(List.of("yes", "no")))
                        .build();
        float[] logits = new float[vocabulary.size() + 7];
        logits[9] = 50; // a token that no choice has
        SamplingWorkspace workspace = new SamplingWorkspace();
        Set<String> seen = new HashSet<>();
        for (int seed = 0; seed < 40; ++seed) {
            Sampler sampler =
                    new Sampler(
                            parameters.toBuilder().seed(seed).build(),
                            List.of(ByteVocabulary.END),
                            compiler.compile(parameters.constraint().orElseThrow()).begin(),
                            workspace);
            Assert.assertTrue(sampler.needsLogits());
            History history = new History(new int[0]);
            ByteArrayOutputStream text = new ByteArrayOutputStream();
            while (!sampler.isComplete()) {
                int token = sampler.sample(logits, 0, logits.length, history).token();
                history.add(token);
                text.writeBytes(vocabulary.bytes(token));
            }
            seen.add(text.toString(StandardCharsets.UTF_8));
            // only the end is left, and it is taken again and again
            for (int i = 0; i < 2; ++i) {
                Assert.assertEquals(
                        sampler.sample(logits, 0, logits.length, history).token(),
                        ByteVocabulary.END);
            }
        }
        Assert.assertEquals(seen, Set.of("yes", "no"));
    }

    @Test
    public void testATextThatMayEndGoesOnWhereEndsAreRuledOut() {
        SamplingParameters parameters =
                SamplingParameters.builder()
                        .constraint(new OutputConstraint.Regex("a{1,5}"))
                        .build();
        float[] logits = new float[vocabulary.size()];
        logits[ByteVocabulary.END] = 50;
        Assert.assertEquals(greedy(parameters, logits), "a");
        Assert.assertEquals(greedy(parameters.toBuilder().minNewTokens(3).build(), logits), "aaa");
        Assert.assertEquals(
                greedy(parameters.toBuilder().ignoreEos(true).build(), logits), "aaaaa");
        // more than the form has room for: it ends where it must
        Assert.assertEquals(
                greedy(parameters.toBuilder().minNewTokens(9).build(), logits), "aaaaa");
    }

    /** Returns the text up to end-of-text or where nothing may follow. */
    private String greedy(SamplingParameters parameters, float... logits) {
        Sampler sampler =
                new Sampler(
                        parameters,
                        List.of(ByteVocabulary.END),
                        compiler.compile(parameters.constraint().orElseThrow()).begin(),
                        new SamplingWorkspace());
        History history = new History(new int[0]);
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        while (!sampler.isComplete()) {
            int token = sampler.sample(logits, 0, logits.length, history).token();
            if (token == ByteVocabulary.END) {
                break;
            }
            history.add(token);
            text.writeBytes(vocabulary.bytes(token));
        }
        return text.toString(StandardCharsets.UTF_8);
    }

    @Test
    public void testNothingButWhatTheModelRulesOutIsNamed() {
        OutputConstraint constraint = new OutputConstraint.Choice(List.of("a"));
        Sampler sampler =
                new Sampler(
                        SamplingParameters.builder().constraint(constraint).build(),
                        List.of(),
                        new ConstraintCompiler(new Words("a", "b")).compile(constraint).begin(),
                        new SamplingWorkspace());
        float[] logits = {Float.NEGATIVE_INFINITY, 5};
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> sampler.sample(logits, 0, 2, new History(new int[0])));
        Assert.assertTrue(e.getMessage().startsWith("the constraint allows no token"));
    }

    /** A vocabulary of whole words, in which a wrong turn could not be made good. */
    @Test
    public void testWalksAvoidWhatTheVocabularyCannotWrite() {
        Vocabulary words = new Words("ab", "a", "c", "bb", "ccc");
        ConstraintCompiler wordCompiler = new ConstraintCompiler(words);
        // "abc", from which "a" would leave "bc" to write, and no word for its "b"
        TokenConstraint constraint =
                wordCompiler
                        .compile(new OutputConstraint.Choice(List.of("abc", "ad", "abbd")))
                        .begin();
        Assert.assertEquals(allowed(constraint), Set.of(0));
        constraint.accept(0);
        Assert.assertEquals(allowed(constraint), Set.of(2));
        constraint.accept(2);
        Assert.assertTrue(constraint.mayEnd() && constraint.isComplete());
        TokenConstraint ended = wordCompiler.compile(new OutputConstraint.Regex("cd*")).begin();
        ended.accept(2);
        Assert.assertTrue(ended.mayEnd() && ended.isComplete(), "no word has a d");
        Assert.assertEquals(
                allowed(wordCompiler.compile(new OutputConstraint.Regex("c{5}|c{2}a|abb")).begin()),
                Set.of(1, 2, 4));
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> wordCompiler.compile(new OutputConstraint.Choice(List.of("ad"))));
        Assert.assertEquals(
                e.getMessage(), "the vocabulary cannot write any text that the constraint accepts");
    }

    /** A chain of many states and a vocabulary that lacks bytes: each state is looked at once. */
    @Test(timeOut = 60_000)
    public void testALongTextIsCompiledForAVocabularyThatLacksBytes() {
        String text = "ab".repeat(15_000);
        ConstraintCompiler wordCompiler = new ConstraintCompiler(new Words("ab", "b", "a", "aba"));
        TokenConstraint constraint =
                wordCompiler.compile(new OutputConstraint.Choice(List.of(text))).begin();
        for (int i = 0; i < 15_000; ++i) {
            Assert.assertEquals(allowed(constraint), i < 14_999 ? Set.of(0, 2, 3) : Set.of(0, 2));
            constraint.accept(0);
        }
        Assert.assertTrue(constraint.isComplete());
    }

    @Test
    public void testWhatIsKeptIsBounded() {
        OutputConstraint first = new OutputConstraint.Regex("a{20000}");
        CompiledConstraint compiled = compiler.compile(first);
        Assert.assertSame(compiler.compile(new OutputConstraint.Regex("a{20000}")), compiled);
        // 25 of them are as many states as are kept
        for (int i = 0; i < 25; ++i) {
            compiler.compile(new OutputConstraint.Regex("b{" + (20_000 + i) + "}"));
        }
        Assert.assertNotSame(compiler.compile(first), compiled);
    }

    private static Set<Integer> allowed(TokenConstraint constraint) {
        long[] mask = new long[1];
        constraint.fillMask(mask);
        return BitSet.valueOf(mask).stream().boxed().collect(Collectors.toSet());
    }

    /** Each token is a word. */
    private record Words(String... words) implements Vocabulary {

        /** {@inheritDoc} */
        @Override
        public int size() {
            return words.length;
        }

        /** {@inheritDoc} */
        @Override
        public byte[] bytes(int token) {
            return words[token].getBytes(StandardCharsets.UTF_8);
        }
    }

    @Test
    public void testARowThatLacksTheTokensIsNamed() {
        OutputConstraint constraint = new OutputConstraint.Choice(List.of("ac"));
        Sampler sampler =
                new Sampler(
                        SamplingParameters.builder().constraint(constraint).build(),
                        List.of(),
                        new ConstraintCompiler(new Words("a", "b", "c"))
                                .compile(constraint)
                                .begin(),
                        new SamplingWorkspace());
        History history = new History(new int[0]);
        Assert.assertEquals(sampler.sample(new float[] {0, 5}, 0, 2, history).token(), 0);
        history.add(0);
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> sampler.sample(new float[] {0, 5}, 0, 2, history));
        Assert.assertEquals(
                e.getMessage(),
                "the constraint allows no token of the vocabulary after 1 new tokens; the"
                        + " vocabulary must be able to write its texts");
    }

    @Test
    public void testATokenThatIsNotAllowedIsRefused() {
        TokenConstraint constraint = compiler.compile(new OutputConstraint.Regex("a+")).begin();
        for (int token : new int[] {-1, 0, 1, 2, vocabulary.size()}) {
            Assert.expectThrows(IllegalArgumentException.class, () -> constraint.accept(token));
        }
        constraint.accept(2 + 'a');
        Assert.assertTrue(constraint.mayEnd());
        Assert.assertFalse(constraint.isComplete());
    }

    private String walk(OutputConstraint description, Random random)
            throws CharacterCodingException {
        TokenConstraint constraint = compiler.compile(description).begin();
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        long[] mask = new long[(vocabulary.size() + 63) / 64];
        for (int step = 0; !constraint.isComplete(); ++step) {
            constraint.fillMask(mask);
            Assert.assertFalse(BitSet.valueOf(mask).isEmpty(), "a dead end behind " + text);
            if (constraint.mayEnd() && random.nextInt(4) == 0) {
                break;
            }
            BitSet allowed = BitSet.valueOf(mask);
            Assert.assertTrue(allowed.length() <= vocabulary.size());
            int token = step < 60 ? pick(allowed, random) : closing(allowed, random);
            constraint.accept(token);
            text.writeBytes(vocabulary.bytes(token));
        }
        Assert.assertTrue(constraint.mayEnd());
        return StrictJson.decode(ByteBuffer.wrap(text.toByteArray()));
    }

    private static int pick(BitSet allowed, Random random) {
        return allowed.stream().skip(random.nextInt(allowed.cardinality())).findFirst().getAsInt();
    }

    /** Ends texts without a bound, which a random walk would lengthen for long. */
    private int closing(BitSet allowed, Random random) {
        for (char c : "\"}]".toCharArray()) {
            if (allowed.get(2 + c)) {
                return 2 + c;
            }
        }
        return pick(allowed, random);
    }

    private static JsonSchema schema(String json) {
        return JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012).getSchema(json);
    }

    private static int depth(String text) {
        int depth = 0;
        int deepest = 0;
        boolean string = false;
        for (int i = 0; i < text.length(); ++i) {
            char c = text.charAt(i);
            if (string && c == '\\') {
                ++i;
            } else if (c == '"') {
                string = !string;
            } else if (!string && (c == '{' || c == '[')) {
                deepest = Math.max(deepest, ++depth);
            } else if (!string && (c == '}' || c == ']')) {
                --depth;
            }
        }
        return deepest;
    }
}
