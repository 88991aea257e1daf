/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What a template must not do, and details; the goldens of chats have the rest. */
public class TemplateTest {

    private static final Path TEMPLATES = Path.of("../tools/fixtures/chat");
    private static final Path RANDOM =
            Path.of("../src/test/resources/goldens/templates/random.json");
    private static final Clock CLOCK =
            Clock.fixed(Instant.parse("2026-03-04T05:06:07Z"), ZoneOffset.UTC);
    private static final Map<String, Object> VARIABLES =
            Map.of(
                    "text", "a\ud83d\ude00b",
                    "list", List.of(3, 1, 2),
                    "map", Map.of("a", 1.5),
                    "messages", List.of(Map.of("role", "user", "content", "Hello")));

    @DataProvider
    public Object[][] expressions() {
        return new Object[][] {
            // checked against Jinja 3.1.6 and Python 3
            {"{{ text | length }} {{ text[1] }} {{ text[::-1] }}", "3 \ud83d\ude00 b\ud83d\ude00a"},
            {
                "{{ 1e22 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }}",
                "1e+22 1e+16 1000000000000000.0 0.0001 1e-05"
            },
            {
                "{{ 0.1 + 0.2 }} {{ 2.0 }} {{ -0.0 }} {{ 100.0 * 3 }}",
                "0.30000000000000004 2.0 -0.0 300.0"
            },
            {
                "{{ 2 ** 100 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7.5 % 2 }}",
                "1267650600228229401496703205376 -4 -2 0.5"
            },
            {"{{ 1 + 2 * 3 ** 2 }} {{ -2 ** 2 }} {{ 'a' ~ 1 ~ 2 }}", "19 4 a12"},
            {"{{ 'a' if false }}|{{ nope }}", "|"},
            {"{{ [1, 'a', (2,), {'b': none}] }}", "[1, 'a', (2,), {'b': None}]"},
            {
                "{{ \"it's\" }} {{ [\"it's\", 'q\"', '\\n\\x01\u00e9\u200b'] }}",
                "it's [\"it's\", 'q\"', '\\n\\x01\u00e9\\u200b']"
            },
            {
                "{{ 'a b c'.rsplit(' ', 1) }} {{ ' a  b'.rsplit(none, 1) }} {{ 'a-b-c'.split('-', 1) }}",
                "['a b', 'c'] [' a', 'b'] ['a', 'b-c']"
            },
            {"{{ 'aXbX'.replace('X', '-', 1) }} {{ 'abc'.replace('', '.') }}", "a-bX .a.b.c."},
            {
                "{{ 'abab'.partition('b') }} {{ 'abab'.rpartition('b') }}",
                "('a', 'b', 'ab') ('aba', 'b', '')"
            },
            {
                "{{ 'a\\nb\\n'.splitlines() }} {{ '7'.zfill(3) }} {{ '-7'.zfill(3) }}",
                "['a', 'b'] 007 -07"
            },
            {
                "{{ list | sort }} {{ list | sort(reverse=true) }} {{ list | max }} {{ list | sum }}",
                "[1, 2, 3] [3, 2, 1] 3 6"
            },
            {
                "{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ range(5, 0, -2) | list }}",
                "[[1, 2], [3, 4], [5]] [5, 3, 1]"
            },
            {
                "{{ {'b': 1, 'a': {'c': [1]}} | tojson(indent=1, sort_keys=true) }}",
                "{\n \"a\": {\n  \"c\": [\n   1\n  ]\n },\n \"b\": 1\n}"
            },
            {
                "{{ '\u00e9\ud83d\ude00' | tojson(ensure_ascii=true) }}"
                        + " {{ [1, 2] | tojson(separators=(',', ':')) }}",
                "\"\\u00e9\\ud83d\\ude00\" [1,2]"
            },
            {
                "{{ '%05.1f|%-4s|%%' | format(2.25, 'x') }} {{ 2.5 | round }} {{ 2.675 | round(2) }}",
                "002.2|x   |% 2.0 2.67"
            },
            {
                "{{ strftime_now('%Y-%m-%d %-d %B %H:%M %p %j%%') }}",
                "2026-03-04 4 March 05:06 AM 063%"
            },
            {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
            {
                "{% for i in list if i > 1 %}{{ loop.length }}{{ i }}{% else %}none{% endfor %}",
                "2322"
            },
            {"{% for i in [] %}{% else %}none{% endfor %}", "none"},
            {
                "{% macro m(a, b=a ~ '!') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}",
                "11!32"
            },
            {"  {% if true %}\n  x\n  {%+ if true %}y{% endif +%}\n{% endif %}\n\n", "  x\n  y\n"},
            {"a {#- c -#} b{# c #}\nc {{- 'd' -}} \n e", "ab" + "cd" + "e"},
            {"{% raw -%}  {{ x }} {%- endraw %}", "{{ x }}"},
            {"{{ '\\u00e9\\x41\\101\\q\\\\' }} {{ 'a' 'b' }}", "\u00e9AA\\q\\ ab"},
            {"{{ not true == false }} {{ not 1 in [2] }} {{ 1 not in [2] }}", "True True True"},
            {
                "{{ map.a }} {{ map['a'] }} {{ map.get('z', 5) }} {{ map.items() | list }}",
                "1.5 1.5 5 [('a', 1.5)]"
            },
            {"{{ 'abc' is string and 'abc' is not mapping }} {{ 2 is in [1, 2] }}", "True True"},
            {
                "{{ none is none }} {{ 1 is none or 2 is odd }} {{ 4 is divisibleby(2) }}",
                "True False True"
            },
        };
    }

    @Test(dataProvider = "expressions")
    public void testExpression(String template, String expected) {
        Assert.assertEquals(render(template), expected);
    }

    /** Random templates that Jinja renders, with its texts. */
    @Test
    public void testRandomTemplatesAreRenderedAsJinjaDoes() throws IOException {
        JsonObject golden = JsonParser.parseString(Files.readString(RANDOM)).getAsJsonObject();
        @SuppressWarnings("unchecked")
        Map<String, Object> variables = (Map<String, Object>) value(golden.get("variables"));
        JsonArray cases = golden.getAsJsonArray("cases");
        Assert.assertEquals(cases.size(), 1500);
        for (JsonElement each : cases) {
            String source = each.getAsJsonArray().get(0).getAsString();
            String rendered =
                    Template.parse(source).render(variables, Template.Limits.STANDARD, CLOCK);
            Assert.assertEquals(rendered, each.getAsJsonArray().get(1).getAsString(), source);
        }
    }

    private static Object value(JsonElement element) {
        if (element.isJsonObject()) {
            Map<String, Object> map = new LinkedHashMap<>();
            element.getAsJsonObject().asMap().forEach((name, item) -> map.put(name, value(item)));
            return map;
        }
        if (element.isJsonArray()) {
            return element.getAsJsonArray().asList().stream().map(TemplateTest::value).toList();
        }
        if (element.isJsonNull()) {
            return null;
        }
        JsonPrimitive primitive = element.getAsJsonPrimitive();
        if (primitive.isString()) {
            return primitive.getAsString();
        }
        if (primitive.isBoolean()) {
            return primitive.getAsBoolean();
        }
        String number = primitive.getAsString();
        return number.contains(".") ? (Object) Double.valueOf(number) : new BigInteger(number);
    }

    @DataProvider
    public Object[][] escapes() {
        return new Object[][] {
            {"{{ ''.getClass() }}"},
            {"{{ text.class.forName('java.lang.Runtime') }}"},
            {"{{ text.__class__.__mro__ }}"},
            {"{{ map.class.classLoader }}"},
            {"{{ messages.getClass().getClassLoader() }}"},
            {"{{ list.stream() }}"},
            {"{{ list.append(4) }}"},
            {"{{ map.pop('a') }}"},
            {"{{ range.__globals__.x }}"},
            {"{{ namespace.__init__.__globals__ }}"},
            {"{{ text | attr('getBytes') }}{{ text.getBytes() }}"},
            {"{{ self.x }}{{ lipsum() }}"},
            {"{% set map.a = 1 %}"},
        };
    }

    @Test(dataProvider = "escapes")
    public void testATemplateReachesNothingButItsValues(String template) {
        Assert.assertThrows(TemplateException.class, () -> render(template));
    }

    @DataProvider
    public Object[][] expensive() {
        String loops = "{% for a in range(100000) %}{% for b in range(100000) %}";
        return new Object[][] {
            {loops + "{{ 'x' * 10000 }}{% endfor %}{% endfor %}", "characters"},
            {loops + "x{% endfor %}{% endfor %}", "steps"},
            {loops + "{% endfor %}{% endfor %}", "steps"},
            {"{{ 'a' * 1000000000000 }}", "characters"},
            {"{{ [1] * 1000000000000 }}", "steps"},
            {"{{ range(100001) }}", "range() of 100001, at most 100000"},
            {"{{ 9 ** 99999999999 }}", "a power is too large"},
            {"{{ 9 ** 4000 }}", "a whole number has more than 4096 bits"},
            {
                "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(99) %}"
                        + "{% set n.t = n.t ~ n.t %}{% endfor %}",
                "characters"
            },
            {
                "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(99) %}"
                        + "{% set n.t = n.t | replace('a', 'aaaaaaaa') %}{% endfor %}",
                "characters"
            },
            {
                "{% set n = namespace(t=[1]) %}{% for a in range(99) %}"
                        + "{% set n.t = n.t + n.t %}{% endfor %}",
                "steps"
            },
            {
                "{% set n = namespace(t=[]) %}{% for a in range(9999) %}"
                        + "{% set n.t = [n.t] %}{% endfor %}{{ n.t }}",
                "values are nested deeper"
            },
            {
                "{% set n = namespace(t=[]) %}{% for a in range(9999) %}"
                        + "{% set n.t = [n.t] %}{% endfor %}{{ n.t | tojson }}",
                "values are nested deeper"
            },
            {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels of nested evaluation"},
            {"{{ " + "(".repeat(5000) + "1" + ")".repeat(5000) + " }}", "nested deeper"},
            {"{{ " + "-".repeat(5000) + "1 }}", "nested deeper"},
            {"{{ " + "not ".repeat(50001) + "1 }}" + "{{ nope.x }}", "'nope' is undefined"},
            {"{{ 1" + " + 1".repeat(5000) + " }}", "levels of nested evaluation"},
            {"{{ text" + ".x".repeat(5000) + " }}", "levels of nested evaluation"},
            {"{% if 1 %}".repeat(5000), "statements are nested deeper"},
            {"{{ 'a' }}".repeat(200_000), "the template has"},
        };
    }

    @Test(dataProvider = "expensive", timeOut = 60_000)
    public void testWhatATemplateCostsIsLimited(String template, String message) {
        TemplateException e = Assert.expectThrows(TemplateException.class, () -> render(template));
        Assert.assertTrue(e.getMessage().contains(message), e.getMessage());
        Assert.assertFalse(e.isRefusal());
    }

    @DataProvider
    public Object[][] mistakes() {
        return new Object[][] {
            {"a\n{{ 1 + }}", "line 2: unexpected the end of the expression's tag"},
            {"{% if 1 %}", "line 1: the template ends before one of [elif, else, endif]"},
            {"{% endif %}", "line 1: the tag 'endif' is not supported"},
            {"{% for a in list recursive %}{% endfor %}", "line 1: recursive loops are not"},
            {"{% break %}", "line 1: break stands in no loop"},
            {"{{ 'a }}", "line 1: a string is not closed"},
            {"{{ (1] }}", "line 1: ']' closes nothing"},
            {"{{ 1 $ }}", "line 1: unexpected character '$'"},
            {"{# a", "line 1: a comment is not closed"},
            {"{{ f(a=1, 2) }}", "line 1: an argument without a name follows one with a name"},
            {"{{ text | nope }}", "line 1: No filter named 'nope'."},
            {"{{ text is nope }}", "line 1: No test named 'nope'"},
            {"\n{{ nope() }}", "line 2: 'nope' is undefined"},
            {"{{ 1 / 0 }}", "line 1: division by zero"},
            {"{{ text + 1 }}", "line 1: can only concatenate str (not \"int\") to str"},
            {"{{ text < 1 }}", "line 1: '<' not supported between instances of 'str' and 'int'"},
            {"{{ range }}", "line 1: a "},
            {"{{ text.strip(1) }}", "line 1: strip arg must be None or str"},
            {"{{ text.split('a', 'b', 'c') }}", "line 1: split() takes at most 2 arguments"},
            {"{{ text | trim(nope=1) }}", "line 1: trim() got an unexpected argument 'nope'"},
        };
    }

    @Test(dataProvider = "mistakes")
    public void testAMistakeIsNamedWithItsLine(String template, String message) {
        TemplateException e = Assert.expectThrows(TemplateException.class, () -> render(template));
        Assert.assertTrue(e.getMessage().startsWith(message), e.getMessage());
    }

    /** Whatever a template is, it renders or fails with a message of its own. */
    @Test
    public void testBrokenTemplatesFailInOneWay() throws IOException {
        List<String> sources = new ArrayList<>();
        try (Stream<Path> files = Files.list(TEMPLATES)) {
            for (Path file : files.sorted().toList()) {
                sources.add(Files.readString(file));
            }
        }
        Map<String, Object> variables = new HashMap<>(VARIABLES);
        variables.put("tools", Arrays.asList(Map.of("function", Map.of("name", "f")), null));
        variables.put("bos_token", "<s>");
        SplittableRandom random = new SplittableRandom(3);
        Template.Limits limits = new Template.Limits(100_000, 300_000);
        int rendered = 0;
        for (int run = 0; run < 6_000; ++run) {
            StringBuilder source = new StringBuilder(sources.get(run % sources.size()));
            for (int i = random.nextInt(1, 4); i > 0; --i) {
                int at = random.nextInt(source.length() - 1);
                int end = Math.min(source.length(), at + random.nextInt(12));
                switch (random.nextInt(3)) {
                    case 0 -> source.delete(at, end);
                    case 1 -> source.insert(at, source.substring(at, end));
                    default -> {
                        String other = sources.get(random.nextInt(sources.size()));
                        int from = random.nextInt(other.length());
                        int to = Math.min(other.length(), from + random.nextInt(20));
                        source.insert(at, other, from, to);
                    }
                }
            }
            try {
                Template.parse(source.toString()).render(variables, limits, CLOCK);
                ++rendered;
            } catch (TemplateException e) {
                Assert.assertFalse(e.getMessage().isEmpty());
            } catch (RuntimeException e) {
                throw new AssertionError(source.toString(), e);
            }
        }
        Assert.assertTrue(rendered > 200 && rendered < 5_800, String.valueOf(rendered));
    }

    @Test
    public void testOtherTypesAreRefused() {
        Template template = Template.parse("{{ x }}");
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> template.render(Map.of("x", new Object()), Template.Limits.STANDARD, CLOCK));
        Assert.assertThrows(IllegalArgumentException.class, () -> new Template.Limits(0, 1));
    }

    private static String render(String template) {
        return Template.parse(template).render(VARIABLES, Template.Limits.STANDARD, CLOCK);
    }
}
