/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Requests go where the rules say. */
public class RouteTest {

    private static final String RULES =
            "{'model': 'm', 'default': 'common', 'rules': ["
                    + "{'tenant': 'acme', 'prefix': 'sql:', 'adapter': 'acme-sql'},"
                    + "{'tenant': 'acme', 'adapter': 'acme'},"
                    + "{'header': 'X-Task', 'equals': 'sum', 'adapter': 'sum'},"
                    + "{'header': 'X-Base', 'adapter': ''},"
                    + "{'field': 'meta.language', 'equals': 'de', 'adapter': 'german'},"
                    + "{'field': 'meta.fast', 'equals': 'true', 'adapter': 'small'},"
                    + "{'prefix': 'Translate: ', 'adapter': 'translate'}]}";

    private static Route route(String json) {
        Object config = new Gson().fromJson(json.replace('\'', '"'), Map.class);
        return Route.of(ConfigObject.of("configs.routes.main", config));
    }

    private static Input json(String body, String... headers) {
        Input input = new Input();
        input.addProperty("content-type", "application/json; charset=utf-8");
        for (int i = 0; i < headers.length; i += 2) {
            input.addProperty(headers[i], headers[i + 1]);
        }
        input.add("data", body.replace('\'', '"'));
        return input;
    }

    private static String chosen(Route route, Input input) {
        List<String> adapters = new ArrayList<>();
        route.answer(
                        input,
                        asked -> {
                            adapters.add(String.valueOf(asked.getAsString("adapter")));
                            return CompletableFuture.completedFuture(new Output(200, "OK"));
                        })
                .join();
        Assert.assertEquals(adapters.size(), 1);
        return adapters.get(0);
    }

    @DataProvider
    public Object[][] requests() {
        return new Object[][] {
            {json("{'inputs': 'a'}"), "common"},
            {json("{'inputs': 'a'}", "x-tenant-id", "acme"), "acme"},
            {json("{'inputs': 'sql: a'}", "X-Tenant-Id", "acme"), "acme-sql"},
            {json("{'inputs': 'sql: a'}"), "common"},
            {json("{'inputs': 'a'}", "X-Task", "sum"), "sum"},
            {json("{'inputs': 'a'}", "X-Task", "other"), "common"},
            {json("{'inputs': 'a'}", "X-Base", "anything"), "null"},
            {json("{'inputs': 'a', 'meta': {'language': 'de'}}"), "german"},
            {json("{'inputs': 'a', 'meta': {'fast': true}}"), "small"},
            {json("{'inputs': 'a', 'meta': 'de'}"), "common"},
            {json("{'inputs': 'Translate: a'}"), "translate"},
            {json("{'inputs': ['Translate: a', 'Translate: b']}"), "translate"},
            {json("{'inputs': ['Translate: a', 'b']}"), "common"},
            {json("{'prompt': 'Translate: a'}"), "translate"},
            {json("{'messages': [{'content': 'x'}, {'content': 'Translate: a'}]}"), "translate"},
            {json("no json"), "common"},
        };
    }

    @Test(dataProvider = "requests")
    public void testTheFirstRuleThatMatchesDecides(Input input, String adapter) {
        Assert.assertEquals(chosen(route(RULES), input), adapter);
    }

    @Test
    public void testPlainTextHasAPrefixToo() {
        Input input = new Input();
        input.add("data", "Translate: a");
        Assert.assertEquals(chosen(route(RULES), input), "translate");
    }

    @DataProvider
    public Object[][] named() {
        return new Object[][] {
            {json("{'inputs': 'Translate: a', 'adapter': 'own'}")},
            {json("{'inputs': 'Translate: a', 'adapters': ['own']}")},
            {json("{'inputs': 'Translate: a'}", "x-amzn-sagemaker-adapter-identifier", "own")},
            {json("{'inputs': 'Translate: a'}", "X-Amzn-SageMaker-Adapter-Alias", "own")},
        };
    }

    @Test(dataProvider = "named")
    public void testARequestThatNamesItsAdapterKeepsIt(Input input) {
        Assert.assertEquals(chosen(route(RULES), input), "null");
    }

    @Test
    public void testAShareIsKeptBySession() {
        Route route =
                route(
                        "{'model': 'm', 'rules': [{'percentage': 20, 'adapter': 'new'}],"
                                + " 'sessionHeader': 'X-User'}");
        int taken = 0;
        for (int i = 0; i < 1000; ++i) {
            Input input = json("{'inputs': 'a'}", "X-User", "user-" + i);
            String adapter = chosen(route, input);
            for (String request : List.of("1", "2")) {
                Input again = json("{'inputs': 'b'}", "X-User", "user-" + i, "requestId", request);
                Assert.assertEquals(chosen(route, again), adapter);
            }
            taken += "new".equals(adapter) ? 1 : 0;
        }
        // the keys are fixed, so this is no chance: 3 standard deviations around 200
        Assert.assertTrue(taken > 160 && taken < 240, String.valueOf(taken));
    }

    @Test
    public void testSharesOfNoneAndAll() {
        for (int i = 0; i < 100; ++i) {
            String key = String.valueOf(i);
            Input input = json("{'inputs': 'a'}", "requestId", key);
            Route none = route("{'model': 'm', 'rules': [{'percentage': 0, 'adapter': 'n'}]}");
            Assert.assertEquals(chosen(none, input), "null");
            Route all = route("{'model': 'm', 'rules': [{'percentage': 100, 'adapter': 'n'}]}");
            Assert.assertEquals(chosen(all, input), "n");
        }
    }

    @Test
    public void testTheFallbackAnswersWhereTheAdapterCannotBeHad() {
        Route route = route("{'model': 'm', 'default': 'lost', 'fallback': 'spare'}");
        Input input = json("{'inputs': 'a'}");
        List<String> asked = new ArrayList<>();
        Output output =
                route.answer(
                                input,
                                same -> {
                                    // the server cancels the very object that it made
                                    Assert.assertSame(same, input);
                                    String adapter = same.getAsString("adapter");
                                    asked.add(adapter);
                                    int code = "lost".equals(adapter) ? 424 : 200;
                                    return CompletableFuture.completedFuture(
                                            new Output(code, adapter));
                                })
                        .join();
        Assert.assertEquals(asked, List.of("lost", "spare"));
        Assert.assertEquals(output.getCode(), 200);
        Assert.assertEquals(output.getProperty(Route.FALLBACK, null), "lost");
        Assert.assertEquals(input.getContent().size(), 2);
    }

    @DataProvider
    public Object[][] codes() {
        return new Object[][] {{200}, {400}, {503}};
    }

    @Test(dataProvider = "codes")
    public void testOtherAnswersStay(int code) {
        Route route = route("{'model': 'm', 'default': 'one', 'fallback': ''}");
        List<String> asked = new ArrayList<>();
        Output output =
                route.answer(
                                json("{'inputs': 'a'}"),
                                same -> {
                                    asked.add(same.getAsString("adapter"));
                                    return CompletableFuture.completedFuture(new Output(code, ""));
                                })
                        .join();
        Assert.assertEquals(asked, List.of("one"));
        Assert.assertEquals(output.getCode(), code);
        Assert.assertNull(output.getProperty(Route.FALLBACK, null));
    }

    @Test
    public void testFieldsForTheRulesAloneAreTakenOut() {
        Route route =
                route(
                        "{'model': 'm', 'strip': ['meta', 'absent'], 'rules': [{'field':"
                                + " 'meta.task', 'equals': 'x', 'adapter': 'a'}]}");
        Input input = json("{'inputs': 'y', 'meta': {'task': 'x'}}");
        Assert.assertEquals(chosen(route, input), "a");
        Assert.assertEquals(input.getData().getAsString(), "{\"inputs\":\"y\"}");
    }

    @DataProvider
    public Object[][] mistakes() {
        return new Object[][] {
            {"{}", "configs.routes.main.model is missing"},
            {
                "{'model': 'm', 'rule': []}",
                "configs.routes.main has the unknown fields [rule]; known are [default, fallback,"
                        + " model, rules, sessionHeader, strip, tenantHeader]"
            },
            {"{'model': 1}", "configs.routes.main.model is 1.0; a text is needed"},
            {"{'model': 'm', 'rules': {}}", "configs.routes.main.rules is {}; a list is needed"},
            {
                "{'model': 'm', 'rules': [1]}",
                "configs.routes.main.rules[0] is 1.0; an object is needed"
            },
            {
                "{'model': 'm', 'rules': [{'tenant': 't'}]}",
                "configs.routes.main.rules[0].adapter is missing"
            },
            {
                "{'model': 'm', 'rules': [{'adapter': 'a'}]}",
                "configs.routes.main.rules[0] has no condition; tenant, header, field, prefix or"
                        + " percentage is needed, or default in place of a rule"
            },
            {
                "{'model': 'm', 'rules': [{'tenant': 't', 'equals': 'x', 'adapter': 'a'}]}",
                "configs.routes.main.rules[0].equals belongs to one of header and field; give one"
            },
            {
                "{'model': 'm', 'rules': [{'percentage': 101, 'adapter': 'a'}]}",
                "configs.routes.main.rules[0].percentage is 101.0; a number from 0 to 100 is"
                        + " needed"
            },
            {
                "{'model': 'm', 'strip': [1]}",
                "configs.routes.main.strip has 1.0 in it; a text is needed"
            },
        };
    }

    @Test(dataProvider = "mistakes")
    public void testMistakesAreRefusedWithTheirPlace(String json, String message) {
        IllegalArgumentException e =
                Assert.expectThrows(IllegalArgumentException.class, () -> route(json));
        Assert.assertEquals(e.getMessage(), message);
    }

    @Test
    public void testTheGuidesWorkflowIsSound() throws IOException {
        String guide = Files.readString(Path.of("../docs/djl-serving.md"));
        String workflow = guide.substring(guide.indexOf("```json\n") + 8);
        JsonObject json =
                JsonParser.parseString(workflow.substring(0, workflow.indexOf("```")))
                        .getAsJsonObject();
        for (JsonElement function : json.getAsJsonObject("functions").asMap().values()) {
            String name = function.getAsString();
            Assert.assertTrue(
                    name.equals(AdapterWorkflowFunction.class.getName())
                            || name.equals(RoutingWorkflowFunction.class.getName()),
                    name);
        }
        JsonObject configs = json.getAsJsonObject("configs");
        Route route = route(configs.getAsJsonObject("routes").get("main").toString());
        Assert.assertEquals(chosen(route, json("{'inputs': 'a'}", "X-Tenant-Id", "acme")), "loud");
        Assert.assertEquals(
                chosen(route, json("{'inputs': 'a', 'meta': {'task': 'reverse'}}")), "backwards");
        Assert.assertEquals(
                configs.getAsJsonObject("adapters").keySet(), Set.of("loud", "backwards"));
    }
}
