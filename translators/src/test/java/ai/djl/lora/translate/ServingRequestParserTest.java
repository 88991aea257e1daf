/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.modality.Input;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class ServingRequestParserTest {

    private static final SamplingParameters DEFAULTS = SamplingParameters.of(0.5, 7, 0.75, 11, 13);

    private final ServingRequestParser parser = new ServingRequestParser(DEFAULTS);

    @Test
    public void testPlainText() {
        Input input = new Input();
        input.add("{a prompt}");
        Assert.assertEquals(
                parser.parse(input),
                new ServingRequest(
                        List.of(new TextRequest("{a prompt}", "", DEFAULTS)), false, false));
        input.addProperty("content-type", "text/plain; charset=utf-8");
        input.addProperty("Adapter", "reverse");
        Assert.assertEquals(
                parser.parse(input).requests(),
                List.of(new TextRequest("{a prompt}", "reverse", DEFAULTS)));
    }

    @DataProvider
    public Object[][] goodBodies() {
        TextRequest base = new TextRequest("a", "", DEFAULTS);
        TextRequest adapted = new TextRequest("a", "x", DEFAULTS);
        return new Object[][] {
            {"{'inputs': 'a'}", null, List.of(base)},
            {"{'prompt': 'a'}", null, List.of(base)},
            {"{'prompt': 'a', 'adapter': 'x'}", null, List.of(adapted)},
            {"{'prompt': 'a', 'adapters': 'x'}", "x", List.of(adapted)},
            {"{'prompt': 'a', 'adapters': ['x'], 'adapter': 'x'}", "x", List.of(adapted)},
            {"{'inputs': 'a'}", "x", List.of(adapted)},
            {"{'inputs': ['a', 'a'], 'adapters': ['', 'x']}", null, List.of(base, adapted)},
            {"{'inputs': ['a', 'a'], 'adapters': 'x'}", null, List.of(adapted, adapted)},
            {
                "{'inputs': 'a', 'parameters': {'max_new_tokens': 1, 'temperature': 0, 'top_k': 0,"
                        + " 'top_p': 1e0, 'seed': -9223372036854775808}}",
                null,
                List.of(new TextRequest("a", "", SamplingParameters.of(0, 0, 1, Long.MIN_VALUE, 1)))
            },
            {
                "{'inputs': 'a', 'parameters': {'seed': 5}}",
                null,
                List.of(new TextRequest("a", "", SamplingParameters.of(0.5, 7, 0.75, 5, 13)))
            },
        };
    }

    @Test(dataProvider = "goodBodies")
    public void testJson(String body, String property, List<TextRequest> requests) {
        ServingRequest request = parser.parse(json(body, property));
        Assert.assertEquals(request.requests(), requests);
        Assert.assertEquals(request.list(), body.contains("[" + "'a'"));
    }

    @Test
    public void testEveryParameterIsRead() {
        ServingRequest request =
                parser.parse(
                        json(
                                "{'inputs': 'x', 'parameters': {'temperature': 0.5, 'min_p': 0.1,"
                                        + " 'typical_p': 0.9, 'repetition_penalty': 1.1,"
                                        + " 'presence_penalty': 0.2, 'frequency_penalty': 0.3,"
                                        + " 'min_new_tokens': 2, 'max_new_tokens': 9,"
                                        + " 'stop': ['a', 'bc']}}",
                                null));
        Assert.assertEquals(
                request.requests().get(0).sampling(),
                SamplingParameters.builder()
                        .temperature(0.5)
                        .minP(0.1)
                        .typicalP(0.9)
                        .repetitionPenalty(1.1)
                        .presencePenalty(0.2)
                        .frequencyPenalty(0.3)
                        .minNewTokens(2)
                        .maxNewTokens(9)
                        .seed(DEFAULTS.seed())
                        .topK(DEFAULTS.topK())
                        .topP(DEFAULTS.topP())
                        .stopStrings(List.of("a", "bc"))
                        .build());
    }

    @DataProvider
    public Object[][] forms() {
        OutputConstraint schema = new OutputConstraint.JsonSchema("{\"type\":\"array\"}");
        return new Object[][] {
            {"'response_format': {'type': 'text'}", null},
            {"'response_format': {'type': 'json_object'}", new OutputConstraint.JsonObject()},
            {"'response_format': {'type': 'json_object', 'schema': {'type': 'array'}}", schema},
            {
                "'response_format': {'type': 'json_schema', 'json_schema': {'name': 'x',"
                        + " 'strict': true, 'schema': {'type': 'array'}}}",
                schema
            },
            {
                "'parameters': {'response_format': {'type': 'json_object', 'schema': {'type':"
                        + " 'array'}}}",
                schema
            },
            {"'parameters': {'guided_json': {'type': 'array'}}", schema},
            {"'parameters': {'guided_json': '{\\'type\\':\\'array\\'}'}", schema},
            {"'parameters': {'guided_regex': 'a+'}", new OutputConstraint.Regex("a+")},
            {
                "'parameters': {'guided_choice': ['a', 'b']}",
                new OutputConstraint.Choice(List.of("a", "b"))
            },
        };
    }

    @Test(dataProvider = "forms")
    public void testFormsOfAnswers(String fields, OutputConstraint expected) {
        for (String input : List.of("'inputs': 'a'", "'messages': [{'role': 'user'}]")) {
            ServingRequest request = parser.parse(json("{" + input + ", " + fields + "}", null));
            Assert.assertEquals(
                    request.requests().get(0).sampling(),
                    DEFAULTS.toBuilder().constraint(expected).build());
        }
    }

    @Test
    public void testTokensInParameters() {
        ServingRequest request =
                parser.parse(
                        json(
                                "{'inputs': 'a', 'parameters': {'ignore_eos': true,"
                                        + " 'stop_token_ids': [7, 5], 'logit_bias': {'3': -1.5, '50':"
                                        + " 100}, 'logprobs': 3, 'n': 2, 'best_of': 5}}",
                                null));
        Assert.assertEquals(
                request.requests().get(0).sampling(),
                DEFAULTS.toBuilder()
                        .ignoreEos(true)
                        .stopTokens(Set.of(5, 7))
                        .logitBias(Map.of(3, -1.5f, 50, 100f))
                        .logProbs(3)
                        .n(2)
                        .bestOf(5)
                        .build());
    }

    @Test
    public void testSeveralAnswers() {
        for (String other : List.of("", ", 'best_of': 4")) {
            String body = "{'inputs': 'a', 'parameters': {'n': 4" + other + "}}";
            Assert.assertEquals(
                    parser.parse(json(body, null)).requests().get(0).sampling(),
                    DEFAULTS.toBuilder().n(4).build());
        }
    }

    @Test
    public void testAConversation() {
        String body =
                "{'messages': [{'role': 'user', 'content': null, 'n': [1, 2.5, true]},"
                        + " {'role': 'assistant', 'tool_calls': [{'id': 'x', 'function': {'name':"
                        + " 'f', 'arguments': '{\\'a\\': 1}'}}, {'function': {'name': 'g',"
                        + " 'arguments': 'no JSON'}}]}], 'tools': [{'type': 'function'}],"
                        + " 'chat_template_kwargs': {'enable_thinking': false}, 'adapter': 'x',"
                        + " 'parameters': {'seed': 5}}";
        ServingRequest request = parser.parse(json(body, "x"));
        Assert.assertFalse(request.list());
        Assert.assertEquals(request.requests().size(), 1);
        ChatRequest chat = (ChatRequest) request.requests().get(0);
        Assert.assertEquals(chat.adapter(), "x");
        Assert.assertEquals(chat.sampling(), SamplingParameters.of(0.5, 7, 0.75, 5, 13));
        Assert.assertEquals(chat.tools(), List.of(Map.of("type", "function")));
        Assert.assertEquals(chat.variables(), Map.of("enable_thinking", false));
        Assert.assertEquals(
                chat.messages().toString(),
                "[ChatMessage[role=user, fields={content=null, n=[1, 2.5, true]}],"
                        + " ChatMessage[role=assistant, fields={tool_calls=[{id=x,"
                        + " function={name=f, arguments={a=1}}}, {function={name=g,"
                        + " arguments=no JSON}}]}]]");
        Assert.assertTrue(chat.messages().get(0).fields().containsKey("content"));
        Assert.assertFalse(chat.messages().get(1).fields().containsKey("content"));
    }

    @DataProvider
    public Object[][] badBodies() {
        String known =
                "; known are [adapter, adapters, chat_template_kwargs, inputs, messages,"
                        + " parameters, prompt, response_format, stream, tools]";
        return new Object[][] {
            {"", null, "the body is not a JSON object; one is needed"},
            {"[]", null, "the body is not a JSON object; one is needed"},
            {"{}", null, "inputs is missing; a text is needed"},
            {
                "{'inputs': 'a', 'prompt': 'a'}",
                null,
                "inputs and prompt are both given; they mean the same, give one"
            },
            {
                "{'inputs': 3}",
                null,
                "inputs is neither a text nor a list of texts; one of them is needed"
            },
            {
                "{'inputs': []}",
                null,
                "inputs is neither a text nor a list of texts; one of them is needed"
            },
            {"{'inputs': ['a', 1]}", null, "inputs[1] is not a text; a list of texts is needed"},
            {
                "{'inputs': 'a', 'messages': []}",
                null,
                "inputs and messages are both given; give one"
            },
            {
                "{'inputs': 'a', 'tools': []}",
                null,
                "tools is given without messages; it belongs to a conversation"
            },
            {"{'messages': {}}", null, "messages is not a list; one is needed"},
            {"{'messages': []}", null, "messages is empty; one is needed"},
            {"{'messages': ['a']}", null, "messages[0] is not a JSON object; one is needed"},
            {"{'messages': [{'role': 1}]}", null, "messages[0].role is not a text; one is needed"},
            {
                "{'messages': [{'role': 'user'}], 'tools': [1]}",
                null,
                "tools[0] is not a JSON object; one is needed"
            },
            {
                "{'messages': [{'role': 'user'}], 'chat_template_kwargs': 1}",
                null,
                "chat_template_kwargs is not a JSON object; one is needed"
            },
            {
                "{'messages': [{'role': 'user'}], 'adapters': ['a', 'b']}",
                null,
                "adapters has 2 names for 1 inputs; one for each is needed, or one name for all"
            },
            {"{'inputs': 'a', 'streams': true}", null, "the field streams is not known" + known},
            {
                "{'inputs': 'a', 'adapter': 'x'}",
                "y",
                "the property adapter names [y] and adapter names [x]; they must agree"
            },
            {
                "{'inputs': 'a', 'adapter': ''}",
                "y",
                "the property adapter names [y] and adapter names []; they must agree"
            },
            {
                "{'inputs': 'a', 'adapter': 'x', 'adapters': ['y']}",
                null,
                "adapter names [x] and adapters names [y]; they must agree"
            },
            {
                "{'inputs': ['a', 'b'], 'adapters': ['x']}",
                null,
                "adapters has 1 names for 2 inputs; one for each is needed, or one name for all"
            },
            {
                "{'inputs': 'a', 'adapter': null}",
                null,
                "adapter is neither a text nor a list of texts; one of them is needed"
            },
            {
                "{'inputs': 'a', 'parameters': 1}",
                null,
                "parameters is not a JSON object; one is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'beams': 4}}",
                null,
                "the field parameters.beams is not known; known are [best_of,"
                        + " frequency_penalty, guided_choice, guided_json, guided_regex,"
                        + " ignore_eos, logit_bias, logprobs, max_new_tokens, min_new_tokens,"
                        + " min_p, n, presence_penalty, repetition_penalty, response_format, seed,"
                        + " stop, stop_token_ids, temperature, top_k, top_p, typical_p]"
            },
            {
                "{'inputs': 'a', 'response_format': 'json'}",
                null,
                "response_format is not a JSON object; one is needed"
            },
            {
                "{'inputs': 'a', 'response_format': {'type': 'xml'}}",
                null,
                "response_format.type is \"xml\"; it must be json_object, json_schema or text"
            },
            {
                "{'inputs': 'a', 'response_format': {'type': 'json_schema', 'json_schema': {}}}",
                null,
                "response_format.json_schema.schema is not a JSON object; one is needed"
            },
            {
                "{'inputs': 'a', 'response_format': {'type': 'json_schema', 'schema': {}}}",
                null,
                "the field response_format.schema is not known; known are [json_schema, type]"
            },
            {
                "{'inputs': 'a', 'response_format': {'type': 'text'}, 'parameters':"
                        + " {'guided_regex': 'a'}}",
                null,
                "response_format and parameters.guided_regex both say what the answer looks like;"
                        + " give one"
            },
            {
                "{'inputs': 'a', 'parameters': {'guided_choice': 'a'}}",
                null,
                "parameters.guided_choice is not a list; a list of texts is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'guided_json': 1}}",
                null,
                "parameters.guided_json is not a JSON object; one is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'n': 2.5}}",
                null,
                "parameters.n is 2.5; a whole number of 32 bits is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'n': 3, 'best_of': 2}}",
                null,
                "bestOf is 2; it must be 0 (as n) or between n, which is 3, and 128"
            },
            {
                "{'inputs': 'a', 'parameters': {'ignore_eos': 1}}",
                null,
                "parameters.ignore_eos is 1; true or false is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'stop_token_ids': [1, 'a']}}",
                null,
                "parameters.stop_token_ids[1] is \"a\"; a number is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'logit_bias': {'a': 1}}}",
                null,
                "parameters.logit_bias.a is no token; the names of parameters.logit_bias are token"
                        + " ids"
            },
            {
                "{'inputs': 'a', 'parameters': {'seed': '1'}}",
                null,
                "parameters.seed is \"1\"; a number is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'max_new_tokens': 1.5}}",
                null,
                "parameters.max_new_tokens is 1.5; a whole number of 32 bits is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'seed': 9223372036854775808}}",
                null,
                "parameters.seed is 9223372036854775808; a whole number of 64 bits is needed"
            },
            {
                "{'inputs': 'a', 'parameters': {'seed': 1e99999999}}",
                null,
                "parameters.seed is 1e99999999; a number within bounds is needed"
            },
        };
    }

    @Test(dataProvider = "badBodies")
    public void testBadJsonIsNamed(String body, String property, String message) {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> parser.parse(json(body, property)));
        Assert.assertEquals(e.getMessage(), message);
    }

    @Test
    public void testJsonIsReadStrictly() {
        for (String body :
                new String[] {"{inputs: 'a'}", "{'inputs': 'a'} x", "{'inputs': 'a',}"}) {
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> parser.parse(json(body, null)));
            Assert.assertTrue(
                    e.getMessage().startsWith("the body is not valid JSON: "), e.getMessage());
            Assert.assertEquals(e.getMessage().lines().count(), 1);
        }
    }

    @Test
    public void testOtherContentIsRefused() {
        assertRefused(new Input(), "the input has no content; a prompt or a JSON object is needed");
        Input latin = new Input();
        latin.add("caf\u00e9".getBytes(StandardCharsets.ISO_8859_1));
        assertRefused(latin, "the body is not valid UTF-8");
        Input image = new Input();
        image.addProperty("Content-Type", "image/png");
        image.add("a");
        assertRefused(
                image, "the content type is image/png; it must be application/json or text/plain");
    }

    private void assertRefused(Input input, String message) {
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, () -> parser.parse(input));
        Assert.assertEquals(e.getMessage(), message);
    }

    private static Input json(String body, String adapter) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        if (adapter != null) {
            input.addProperty("adapter", adapter);
        }
        input.add("data", body.replace('\'', '"'));
        return input;
    }
}
