/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class JsonSchemaCompilerTest {

    @DataProvider
    public Object[][] refused() {
        String count = "; a whole number of 0 or more is needed";
        return new Object[][] {
            {
                "{'type': ['integer', 'number'], 'minimum': 3}",
                "\"$\" has the keyword \"minimum\", which is not supported here; supported are"
                        + " [type]"
            },
            {
                "{'type': 'integer', 'minimum': 2.1, 'exclusiveMaximum': 3}",
                "\"$\" accepts no integer of at most 15 digits"
            },
            {
                "{'type': 'integer', 'minimum': 1e99999}",
                "\"$.minimum\" is \"1e99999\"; a number with an exponent of at most 1000 is needed"
            },
            {
                "{'type': 'integer', 'maximum': '3'}",
                "\"$.maximum\" is \"\"3\"\"; a number with an exponent of at most 1000 is needed"
            },
            {
                "{'type': 'integer', 'multipleOf': 3}",
                "\"$\" has the keyword \"multipleOf\", which is not supported here; supported are"
                        + " [exclusiveMaximum, exclusiveMinimum, maximum, minimum, type]"
            },
            {
                "{'type': 'object', 'properties': {'a': {'type': 'string', 'format': 'date'}}}",
                "\"$.properties.a\" has the keyword \"format\", which is not supported here;"
                        + " supported are [maxLength, minLength, pattern, type]"
            },
            {
                "{'type': 'string', 'maxItems': 3}",
                "\"$\" has the keyword \"maxItems\", which is not supported here; supported are"
                        + " [maxLength, minLength, pattern, type]"
            },
            {
                "{'properties': {}}",
                "\"$\" has the keyword \"properties\", which is not supported here; supported are"
                        + " []"
            },
            {
                "{'anyOf': [{}], 'type': 'string'}",
                "\"$\" has the keyword \"type\", which is not supported here; supported are"
                        + " [anyOf]"
            },
            {"{'anyOf': []}", "\"$.anyOf\" is empty; at least one entry is needed"},
            {"{'enum': 'a'}", "\"$.enum\" is \"\"a\"\"; an array is needed"},
            {
                "{'type': 'text'}",
                "\"$.type\" is \"text\"; types are [array, boolean, integer, null, number, object,"
                        + " string]"
            },
            {
                "{'type': 'integer', 'enum': [1, 1.5]}",
                "\"$.enum\" has \"1.5\", which is not of type [integer]"
            },
            {"{'type': 'array', 'minItems': -1}", "\"$.minItems\" is \"-1\"" + count},
            {"{'type': 'array', 'minItems': 1.5}", "\"$.minItems\" is \"1.5\"" + count},
            {"{'type': 'array', 'minItems': '1'}", "\"$.minItems\" is \"\"1\"\"" + count},
            {
                "{'type': 'array', 'minItems': 2, 'maxItems': 1}",
                "\"$\" has maxItems below minItems"
            },
            {
                "{'type': 'string', 'minLength': 2, 'maxLength': 1}",
                "\"$\" has maxLength below minLength"
            },
            {"{'type': 'string', 'pattern': '^abc$', 'maxLength': 2}", "\"$\" accepts no string"},
            {
                "{'type': 'string', 'pattern': '(?=a)'}",
                "\"$.pattern\": the regular expression \"(?=a)\" cannot be followed: at character"
                        + " 2, \"(?\" is supported as \"(?:\" alone"
            },
            {
                "{'type': 'object', 'properties': {}, 'required': ['a']}",
                "\"$.required\" names \"a\", which properties lacks"
            },
            {
                "{'type': 'object', 'required': ['a']}",
                "\"$.required\" names members without properties"
            },
            {
                "{'type': 'object', 'properties': {}, 'additionalProperties': true}",
                "\"$.additionalProperties\" is \"true\"; beside properties it must be false or"
                        + " absent"
            },
            {"{'type': 'array', 'items': false}", "\"$.items\" is false, which accepts nothing"},
            {
                "{'type': 'array', 'items': [{}]}",
                "\"$.items\" is \"[{}]\"; a schema must be an object or a boolean"
            },
            {
                "{'$ref': '#/$defs/a', '$defs': {'a': {'type': 'array', 'items': {'$ref':"
                        + " '#/$defs/a'}}}}",
                "\"#/$defs/a.items\" refers to \"#/$defs/a\" inside itself; no recursion"
            },
            {
                "{'$ref': '#'}",
                "\"$\" refers to \"#\"; it must be #/$defs/ or #/definitions/ and a name that is"
                        + " there"
            },
            {
                "{'$ref': '#/$defs/b', '$defs': {}}",
                "\"$\" refers to \"#/$defs/b\"; it must be #/$defs/ or #/definitions/ and a name"
                        + " that is there"
            },
            {
                "{'oneOf': [{'type': 'integer'}, {'type': 'number'}]}",
                "\"$.oneOf\" has the alternatives 0 and 1, which may accept the same value; they"
                        + " must differ in type, in listed values or in a required member with"
                        + " const or enum, or stand in anyOf"
            },
            {
                "{'oneOf': [{'enum': [1, 2]}, {'enum': [3, 2.0]}]}",
                "\"$.oneOf\" has the alternatives 0 and 1, which may accept the same value; they"
                        + " must differ in type, in listed values or in a required member with"
                        + " const or enum, or stand in anyOf"
            },
            {
                "{'oneOf': [{'type': 'null'}, {'type': 'object', 'properties': {'a': {'const': 1}}},"
                        + " {'type': 'object', 'properties': {'a': {'const': 2}}}]}",
                "\"$.oneOf\" has the alternatives 1 and 2, which may accept the same value; they"
                        + " must differ in type, in listed values or in a required member with"
                        + " const or enum, or stand in anyOf"
            },
        };
    }

    @Test(dataProvider = "refused")
    public void testWhatIsNotFollowedIsRefused(String schema, String reason) {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> JsonSchemaCompiler.compile(schema.replace('\'', '"')));
        Assert.assertEquals(e.getMessage(), "the JSON schema's " + reason);
    }

    @Test
    public void testTooLargeIsRefusedAtOnce() {
        ConstraintCompiler compiler = new ConstraintCompiler(new ByteVocabulary());
        for (String schema :
                new String[] {
                    "{'type': 'string', 'maxLength': 2000000000}",
                    "{'type': 'array', 'minItems': 2000000000}",
                    "{'type': 'array', 'maxItems': 1000, 'items': {'type': 'array', 'maxItems':"
                            + " 1000, 'items': {'type': 'integer'}}}",
                }) {
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class,
                            () ->
                                    compiler.compile(
                                            new OutputConstraint.JsonSchema(
                                                    schema.replace('\'', '"'))));
            Assert.assertTrue(
                    e.getMessage().startsWith("the constraint is too large: "), e.getMessage());
        }
    }

    @Test
    public void testWhatIsNoSchemaIsRefused() {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> JsonSchemaCompiler.compile("[]"));
        Assert.assertEquals(
                e.getMessage(), "the JSON schema: expected a JSON object, found an array");
    }
}
