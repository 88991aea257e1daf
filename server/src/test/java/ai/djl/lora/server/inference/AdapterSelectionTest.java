/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.inference.RoutingRules.Always;
import ai.djl.lora.server.inference.RoutingRules.OfTenant;
import ai.djl.lora.server.inference.RoutingRules.Rule;
import ai.djl.lora.server.inference.RoutingRules.WithField;
import ai.djl.lora.server.inference.RoutingRules.WithHeader;
import ai.djl.lora.server.inference.RoutingRules.WithPrefix;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Tests which adapter answers, by everything that can say so. */
public class AdapterSelectionTest {

    private static final String PATH = "/v1/completions";

    private DemoServer demo;

    @BeforeClass
    public void start() throws Exception {
        demo = new DemoServer(AdapterSelectionTest::settings);
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    /* Who calls is told by headers here; a caller who is told about sees upper and the base alone. */
    private static LoraServer.Builder settings(LoraServer.Builder builder) {
        RoutingRules rules =
                new RoutingRules(
                        List.of(
                                Rule.of(new OfTenant("reversers"), "reverse"),
                                Rule.of(new WithHeader("x-wants", "capitals"), "upper"),
                                Rule.of(new WithField("task", "capitals"), "upper"),
                                new Rule(new WithPrefix("back"), 100, "reverse", "upper"),
                                new Rule(new WithPrefix("lost"), 100, "gone", ""),
                                new Rule(new WithHeader("x-trial", "1"), 50, "upper", null),
                                Rule.of(new WithHeader("x-strict", "1"), "gone")));
        return builder.optRouting(rules)
                .addFilter(
                        (request, route, next) -> {
                            boolean limited = request.header("x-limited").isPresent();
                            String tenant = request.header("x-tenant").orElse("");
                            return next.handle(
                                    request.from(
                                            new Caller(
                                                    "test",
                                                    tenant,
                                                    Set.of(Permission.INFER),
                                                    name ->
                                                            !limited
                                                                    || name.isEmpty()
                                                                    || "upper".equals(name))));
                        });
    }

    private HttpResponse<String> send(String path, String body, String... headers)
            throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(demo.uri(path))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')));
        return demo.send(headers.length == 0 ? request : request.headers(headers));
    }

    private String said(String body, String... headers) throws Exception {
        HttpResponse<String> response =
                send(PATH, "{'prompt':'hello=','temperature':0" + body + "}", headers);
        Assert.assertEquals(response.statusCode(), 200, response.body());
        JsonObject answer = JsonParser.parseString(response.body()).getAsJsonObject();
        return answer.getAsJsonArray("choices").get(0).getAsJsonObject().get("text").getAsString();
    }

    /** Everything that names an adapter. */
    @DataProvider
    public Object[][] places() {
        return new Object[][] {
            {",'model':'upper'", new String[0]},
            {",'model':'demo:upper'", new String[0]},
            {",'adapter':'upper'", new String[0]},
            {",'adapter_id':'upper'", new String[0]},
            {",'adapters':'upper'", new String[0]},
            {",'adapters':['upper']", new String[0]},
            {",'lora':[{'id':'upper'}]", new String[0]},
            {",'lora':[{'id':'upper','scale':1}],'model':'demo','adapter':'upper'", new String[0]},
            {"", new String[] {"X-Adapter-Id", "upper"}},
            {"", new String[] {"X-Amzn-SageMaker-Adapter-Identifier", "upper"}},
            {"", new String[] {"X-Amzn-SageMaker-Adapter-Alias", "upper"}},
            {",'model':'upper'", new String[] {"X-Adapter-Id", "upper"}},
        };
    }

    @Test(dataProvider = "places")
    public void testPlaces(String body, String[] headers) throws Exception {
        Assert.assertEquals(said(body, headers), "HELLO");
    }

    /** Two places that disagree, and what the refusal must name. */
    @DataProvider
    public Object[][] disagreements() {
        return new Object[][] {
            {",'model':'upper','adapter':'reverse'", "model names \"upper\"", "adapter names"},
            {",'adapter':'upper','adapter_id':'reverse'", "adapter names", "adapter_id names"},
            {",'adapter':'upper','adapters':['reverse']", "adapter names", "adapters names"},
            {",'adapter':'','model':'reverse'", "model names", "adapter names \"\""},
            {",'model':'upper','lora':[{'id':'reverse'}]", "model names", "lora names"},
            {",'model':'upper','lora':[{'id':'upper','scale':0.5}]", "model names", "lora names"},
        };
    }

    @Test(dataProvider = "disagreements")
    public void testDisagreements(String body, String one, String other) throws Exception {
        HttpResponse<String> response = send(PATH, "{'prompt':'hello='" + body + "}");
        Assert.assertEquals(response.statusCode(), 400, response.body());
        String message =
                JsonParser.parseString(response.body())
                        .getAsJsonObject()
                        .getAsJsonObject("error")
                        .get("message")
                        .getAsString();
        Assert.assertTrue(message.contains(one) && message.contains(other), message);
    }

    @Test
    public void testHeaderThatDisagrees() throws Exception {
        HttpResponse<String> response =
                send(PATH, "{'prompt':'a','model':'upper'}", "X-Adapter-Id", "reverse");
        Assert.assertEquals(response.statusCode(), 400);
        Assert.assertTrue(response.body().contains("the header x-adapter-id"), response.body());
    }

    @Test
    public void testDefaultAdapter() throws Exception {
        Assert.assertEquals(said(""), "hello");
        demo.server().targets().setDefaultAdapter("upper");
        try {
            Assert.assertEquals(said(""), "HELLO");
            Assert.assertEquals(said(",'model':'demo'"), "HELLO");
            Assert.assertEquals(said(",'adapter':''"), "hello");
            Assert.assertEquals(said(",'adapter':'reverse'"), "olleh");
        } finally {
            demo.server().targets().setDefaultAdapter("");
        }
    }

    @Test
    public void testStacks() throws Exception {
        var store = demo.server().model().adapters();
        HttpResponse<String> response =
                send(
                        PATH,
                        "{'prompt':'hello=','temperature':0,"
                                + "'lora':[{'id':'upper','scale':1},{'id':'reverse','scale':0}]}");
        Assert.assertEquals(response.statusCode(), 200, response.body());
        JsonObject answer = JsonParser.parseString(response.body()).getAsJsonObject();
        Assert.assertEquals(answer.get("adapter").getAsString(), "upper:1.0,reverse:0.0");
        // a weight of 0 leaves the other as it is
        Assert.assertTrue(response.body().contains("\"HELLO\""), response.body());
        Assert.assertEquals(said(",'lora':[{'id':'upper','scale':0}]"), "hello");
        // a stack stands in nobody's way when its request has ended
        Assert.assertEquals(store.stackNames(), Set.of());
        store.registerStack("both", java.util.Map.of("upper", 1f, "reverse", 0f));
        try {
            Assert.assertEquals(said(",'model':'both'"), "HELLO");
        } finally {
            store.unregister("both");
        }
    }

    @DataProvider
    public Object[][] badStacks() {
        return new Object[][] {
            {"[]", 400},
            {"{}", 400},
            {"[{}]", 400},
            {"[{'id':0}]", 400},
            {"[{'id':'upper','scale':'1'}]", 400},
            {"[{'id':'upper','scale':1e300}]", 400},
            {"[{'id':'upper'},{'id':'upper'}]", 400},
            {"[{'id':'upper','odd':1}]", 400},
            {"[{'id':'other'}]", 404},
            {"[{'id':''}]", 404},
            {"[{'id':'upper'},{'id':'other'}]", 404},
        };
    }

    @Test(dataProvider = "badStacks")
    public void testBadStack(String lora, int status) throws Exception {
        HttpResponse<String> response = send(PATH, "{'prompt':'a','lora':" + lora + "}");
        Assert.assertEquals(response.statusCode(), status, response.body());
        Assert.assertEquals(demo.server().model().adapters().stackNames(), Set.of());
    }

    @Test
    public void testRules() throws Exception {
        Assert.assertEquals(said("", "X-Tenant", "reversers"), "olleh");
        Assert.assertEquals(said(",'model':'upper'", "X-Tenant", "reversers"), "HELLO");
        Assert.assertEquals(said("", "X-Wants", "capitals"), "HELLO");
        Assert.assertEquals(said(",'task':'capitals'"), "HELLO");
        Assert.assertEquals(said(",'task':'nothing'"), "hello");
        Assert.assertEquals(adapter("back=", "X-A", "b"), "reverse");
        // who may not use the rule's adapter gets what stands in for it
        Assert.assertEquals(adapter("back=", "X-Limited", "1"), "upper");
        Assert.assertEquals(adapter("lost=", "X-A", "b"), "");
        HttpResponse<String> none = send(PATH, "{'prompt':'a'}", "X-Strict", "1");
        Assert.assertEquals(none.statusCode(), 404, none.body());
    }

    private String adapter(String prompt, String... headers) throws Exception {
        HttpResponse<String> response =
                send(PATH, "{'prompt':'" + prompt + "','max_tokens':1}", headers);
        Assert.assertEquals(response.statusCode(), 200, response.body());
        return response.headers().firstValue("X-Adapter").orElse(null);
    }

    @Test
    public void testShareIsKeptBySession() throws Exception {
        int adapted = 0;
        for (int i = 0; i < 64; ++i) {
            String first = adapter("hello=", "X-Trial", "1", "X-Session-Id", "s" + i);
            adapted += "upper".equals(first) ? 1 : 0;
            if (i < 8) {
                String again = adapter("hello=", "X-Trial", "1", "X-Session-Id", "s" + i);
                Assert.assertEquals(again, first, "session " + i);
            }
        }
        // the hash is fixed, so this is the same each time: 32 of 64 give or take three deviations
        Assert.assertTrue(adapted >= 20 && adapted <= 44, adapted + " of 64");
    }

    @Test
    public void testPercentIsCloseForManySessions() {
        RoutingRules rules = new RoutingRules(List.of(new Rule(new Always(), 10, "upper", null)));
        long taken =
                java.util.stream.IntStream.range(0, 10_000)
                        .filter(i -> rules.find(condition -> true, "session" + i).isPresent())
                        .count();
        // ten deviations of a binomial distribution
        Assert.assertEquals(taken, 1000, 300);
    }

    @Test
    public void testWhatACallerMayNotUseIsNotThere() throws Exception {
        String body = "{'prompt':'a','model':'%s'}";
        HttpResponse<String> hidden = send(PATH, String.format(body, "reverse"), "X-Limited", "1");
        HttpResponse<String> missing = send(PATH, String.format(body, "nothing"), "X-Limited", "1");
        Assert.assertEquals(hidden.statusCode(), 404);
        Assert.assertEquals(missing.statusCode(), 404);
        Assert.assertEquals(
                hidden.body().replace("reverse", "?"), missing.body().replace("nothing", "?"));
        Assert.assertEquals(
                send(
                                PATH,
                                "{'prompt':'a','lora':[{'id':'upper'},{'id':'reverse'}]}",
                                "X-Limited",
                                "1")
                        .statusCode(),
                404);
        HttpRequest.Builder list =
                HttpRequest.newBuilder(demo.uri("/v1/models")).header("X-Limited", "1");
        String models = demo.send(list).body();
        Assert.assertTrue(models.contains("upper") && !models.contains("reverse"), models);
        HttpRequest.Builder one =
                HttpRequest.newBuilder(demo.uri("/v1/models/reverse")).header("X-Limited", "1");
        Assert.assertEquals(demo.send(one).statusCode(), 404);
    }

    @Test
    public void testUrgency() throws Exception {
        Assert.assertEquals(said(",'priority':3,'deadline_ms':60000"), "hello");
        Assert.assertEquals(said("", "X-Priority", "-2", "X-Deadline-Ms", "60000"), "hello");
        HttpResponse<String> bad = send(PATH, "{'prompt':'a'}", "X-Priority", "soon");
        Assert.assertEquals(bad.statusCode(), 400);
        Assert.assertTrue(bad.body().contains("x-priority"), bad.body());
        HttpResponse<String> session =
                send(PATH, "{'prompt':'a'}", "X-Session-Id", "s".repeat(600));
        Assert.assertEquals(session.statusCode(), 400);
    }
}
