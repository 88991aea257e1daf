/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Adapters that come, go and are looked at, by this project's routes and by DJL Serving's. */
public class AdapterRoutesTest {

    private AdapterServer server;

    @BeforeMethod
    public void start() throws Exception {
        server = new AdapterServer();
    }

    @AfterMethod(alwaysRun = true)
    public void stop() {
        server.close();
    }

    @Test
    public void testLifeOfAnAdapter() throws Exception {
        JsonObject made =
                server.post(
                        201,
                        "/adapters",
                        "{'name':'a/b','source':'%s','pin':true,'priority':2.5,'tenant':'t',"
                                + "'metadata':{'note':'n'}}",
                        AdapterServer.source("rot13"));
        Assert.assertEquals(made.get("src").getAsString(), AdapterServer.source("rot13"));
        Assert.assertTrue(made.getAsJsonObject("report").get("accepted").getAsBoolean());
        Assert.assertEquals(server.answer("a/b", "hello="), "uryyb");

        JsonObject shown = server.get("/adapters/a%2Fb");
        Assert.assertEquals(shown.get("name").getAsString(), "a/b");
        Assert.assertEquals(shown.get("tier").getAsString(), "device");
        Assert.assertEquals(shown.get("state").getAsString(), "ready");
        Assert.assertTrue(shown.get("pin").getAsBoolean(), "pin");
        Assert.assertEquals(shown.get("priority").getAsDouble(), 2.5);
        Assert.assertEquals(shown.get("tenant").getAsString(), "t");
        Assert.assertEquals(shown.get("metadata").toString(), "{\"note\":\"n\"}");
        Assert.assertTrue(shown.get("bytes").getAsLong() > 0, "bytes");
        Assert.assertTrue(shown.get("hits").getAsLong() > 0, "hits");
        Assert.assertEquals(shown.getAsJsonArray("revisions").size(), 1);

        server.send(200, "POST", "/adapters/a%2Fb/unpin");
        Assert.assertFalse(server.get("/adapters/a%2Fb").get("pinned").getAsBoolean(), "pinned");
        server.send(200, "POST", "/adapters/a%2Fb/pin");
        Assert.assertTrue(server.get("/adapters/a%2Fb").get("pinned").getAsBoolean(), "pinned");

        Assert.assertEquals(
                server.send(200, "DELETE", "/adapters/a%2Fb").get("status").getAsString(),
                "Adapter a/b unregistered");
        Assert.assertEquals(
                AdapterServer.message(server.send(404, "GET", "/adapters/a%2Fb")),
                "there is no adapter \"a/b\"");
        AdapterServer.message(server.send(404, "DELETE", "/adapters/a%2Fb"));
    }

    @Test
    public void testListInPages() throws Exception {
        for (String name : List.of("c", "d", "e")) {
            server.post(
                    201,
                    "/adapters",
                    "{'name':'%s','source':'%s'}",
                    name,
                    AdapterServer.source("sort"));
        }
        JsonObject first = server.get("/adapters?limit=2");
        Assert.assertEquals(
                AdapterServer.names(first.getAsJsonArray("adapters")), List.of("c", "d"));
        String token = first.get("nextPageToken").getAsString();
        // what comes and goes between pages shifts nothing
        server.send(200, "DELETE", "/adapters/c");
        JsonObject second = server.get("/adapters?limit=2&next_page_token=" + token);
        Assert.assertEquals(
                AdapterServer.names(second.getAsJsonArray("adapters")), List.of("e", "reverse"));
        token = second.get("nextPageToken").getAsString();
        JsonObject last = server.get("/models/demo/adapters?limit=2&next_page_token=" + token);
        Assert.assertEquals(AdapterServer.names(last.getAsJsonArray("adapters")), List.of("upper"));
        Assert.assertFalse(last.has("nextPageToken"), "token");
        AdapterServer.message(server.send(400, "GET", "/adapters?limit=0"));
        AdapterServer.message(server.send(400, "GET", "/adapters?limit=x"));
        AdapterServer.message(server.send(400, "GET", "/adapters?limit=1001"));
        AdapterServer.message(server.send(400, "GET", "/adapters?next_page_token=%25"));
    }

    @Test
    public void testCallersSeeWhatTheyMayUse() throws Exception {
        HttpResponse<String> list = server.getAs("upper", "/adapters");
        JsonObject body = JsonParser.parseString(list.body()).getAsJsonObject();
        Assert.assertEquals(AdapterServer.names(body.getAsJsonArray("adapters")), List.of("upper"));
        Assert.assertFalse(list.body().contains("src"), list.body());
        Assert.assertFalse(list.body().contains("/"), list.body());
        Assert.assertEquals(server.getAs("upper", "/adapters/upper").statusCode(), 200);
        Assert.assertEquals(server.getAs("upper", "/adapters/reverse").statusCode(), 404);
        server.post(200, "/adapters/reverse/alias", "{'alias':'upper2'}");
        Assert.assertEquals(server.getAs("upper2", "/adapters/upper2").statusCode(), 404);
    }

    @DataProvider
    public Object[][] wrongRegistrations() {
        String source = AdapterServer.source("rot13");
        return new Object[][] {
            {400, "", "name is missing"},
            {400, "{", "the body: the JSON ends too early"},
            {400, "[]", "the body: expected a JSON object, found an array"},
            {400, "{'source':'" + source + "'}", "name is missing"},
            {400, "{'name':'n'}", "source is missing"},
            {400, "{'name':' ','source':'" + source + "'}", "name is blank"},
            {400, "{'name':7,'source':'" + source + "'}", "name is \"7\"; it must be a text"},
            {400, "{'name':'n','name':'m'}", "the body: the name \"name\" occurs twice"},
            {
                400,
                "{'name':'" + "n".repeat(257) + "','source':'" + source + "'}",
                "has 257 characters, allowed are 256"
            },
            {400, "{'name':'n','source':'" + source + "','more':1}", "\"more\" is not known"},
            {400, "{'name':'n','source':'" + source + "','pin':1}", "it must be true or false"},
            {
                400,
                "{'name':'n','source':'" + source + "','priority':1e999}",
                "it must be a finite number"
            },
            {400, "{'name':'n','source':'" + source + "','revision':'x'}", "64 hexadecimal"},
            {
                400,
                "{'name':'n','source':'" + source + "','metadata':{'djl-lora.source':'x'}}",
                "is the server's own"
            },
            {
                400,
                "{'name':'n','source':'" + source + "','sha256':'" + "0".repeat(64) + "'}",
                "the source is a folder"
            },
            {
                422,
                "{'name':'n','source':'" + source + "','revision':'" + "0".repeat(64) + "'}",
                "revision"
            },
            {409, "{'name':'upper','source':'" + source + "'}", "is an adapter \"upper\" already"},
            {409, "{'name':'demo','source':'" + source + "'}", "is the name of the base model"},
            {400, "{'name':'n','source':'rot13'}", "is neither an absolute path nor an address"},
            {400, "{'name':'n','source':'file:rot13'}", "is no path or address"},
            {403, "{'name':'n','source':'/etc'}", "\"/etc\" is not among those"},
            {403, "{'name':'n','source':'/nothing/there'}", "is not among those"},
            {403, "{'name':'n','source':'" + source + "/../../../x'}", "is not among those"},
            {400, "{'name':'n','source':'" + source + "x'}", "is not there or cannot be read"},
            {
                400,
                "{'name':'n','source':'" + AdapterServer.FOLDER + "'}",
                "adapter_model.safetensors"
            },
        };
    }

    @Test(dataProvider = "wrongRegistrations")
    public void testWrongRegistration(int status, String body, String message) throws Exception {
        JsonObject answer = server.post(status, "/adapters", body.replace("%", "%%"));
        String told = AdapterServer.message(answer);
        Assert.assertTrue(told.contains(message), told);
        Assert.assertEquals(
                AdapterServer.names(server.get("/adapters").getAsJsonArray("adapters")),
                List.of("reverse", "upper"));
    }

    @Test
    public void testWrongMethodsAndTypes() throws Exception {
        server.send(405, "PATCH", "/adapters");
        server.send(405, "GET", "/adapters/upper/pin");
        server.send(405, "DELETE", "/adapters/upper/hot-swap");
        server.send(415, "POST", "/adapters");
        server.send(415, "POST", "/adapters/upper/hot-swap");
        server.send(415, "POST", "/adapters/upper/alias");
        server.send(415, "POST", "/adapters/upper/canary");
        server.upload(415, "PUT", "/adapters/upper", "application/json", new byte[] {1});
        for (String path :
                List.of("prefetch", "pin", "unpin", "switch", "rollback", "canary/promote")) {
            server.send(404, "POST", "/adapters/nobody/" + path);
        }
        server.post(404, "/adapters/nobody/alias", "{'alias':'x'}");
        server.post(404, "/adapters/nobody/canary", "{'share':0.5}");
        server.send(404, "DELETE", "/adapters/nobody/canary");
        server.send(404, "DELETE", "/adapters/nobody/alias/x");
    }

    @Test
    public void testAliasesAndDefault() throws Exception {
        server.post(200, "/adapters/upper/alias", "{'alias':'loud'}");
        Assert.assertEquals(server.answer("loud", "hello="), "HELLO");
        Assert.assertEquals(
                server.get("/adapters/loud").getAsJsonArray("aliases").toString(), "[\"loud\"]");
        AdapterServer.message(server.post(409, "/adapters/upper/alias", "{'alias':'reverse'}"));
        AdapterServer.message(server.post(409, "/adapters/upper/alias", "{'alias':'demo'}"));
        AdapterServer.message(server.post(400, "/adapters/upper/alias", "{}"));
        String inUse = AdapterServer.message(server.send(409, "DELETE", "/adapters/upper"));
        Assert.assertTrue(inUse.contains("has the alias \"loud\""), inUse);
        AdapterServer.message(server.send(409, "DELETE", "/adapters/loud"));

        server.send(200, "POST", "/adapters/loud/switch");
        Assert.assertEquals(server.server().targets().defaultAdapter(), "loud");
        Assert.assertTrue(server.get("/adapters/upper").get("default").getAsBoolean(), "default");
        AdapterServer.message(server.send(409, "DELETE", "/adapters/upper/alias/loud"));
        server.send(200, "POST", "/adapters/demo/switch");
        Assert.assertEquals(server.server().targets().defaultAdapter(), "");
        server.send(200, "DELETE", "/adapters/upper/alias/loud");
        AdapterServer.message(server.send(404, "DELETE", "/adapters/upper/alias/loud"));
        server.send(200, "DELETE", "/adapters/upper");
    }

    @Test
    public void testPrefetchBringsToTheDevice() throws Exception {
        server.post(
                201,
                "/adapters",
                "{'name':'n','source':'%s','preload':false}",
                AdapterServer.source("mask"));
        JsonObject before = server.get("/adapters/n");
        Assert.assertNotEquals(before.get("tier").getAsString(), "device");
        Assert.assertFalse(before.get("preload").getAsBoolean(), "preload");
        JsonObject after = server.send(200, "POST", "/adapters/n/prefetch");
        Assert.assertEquals(after.get("tier").getAsString(), "device");
    }

    @Test
    public void testDjlServing() throws Exception {
        String source = AdapterServer.source("rot13");
        Assert.assertEquals(
                server.send(200, "POST", "/models/demo/adapters?name=a1&pin=true&src=" + source)
                        .get("status")
                        .getAsString(),
                "Adapter a1 registered");
        server.send(200, "POST", "/adapters?name=a2&src=" + source);
        JsonObject shown = server.get("/models/demo/adapters/a1");
        Assert.assertEquals(shown.get("src").getAsString(), source);
        Assert.assertTrue(shown.get("pin").getAsBoolean(), "pin");
        Assert.assertTrue(shown.get("preload").getAsBoolean(), "preload");
        Assert.assertEquals(
                server.send(200, "POST", "/models/demo/adapters/a1/update?pin=false")
                        .get("status")
                        .getAsString(),
                "Adapter a1 updated");
        Assert.assertFalse(server.get("/adapters/a1").get("pin").getAsBoolean(), "pin");
        server.send(200, "POST", "/adapters/a1/update?src=" + AdapterServer.source("upper"));
        Assert.assertEquals(server.answer("a1", "hello="), "HELLO");
        server.send(200, "DELETE", "/models/demo/adapters/a1");
        server.send(200, "DELETE", "/adapters/a2");

        AdapterServer.message(server.send(404, "GET", "/models/other/adapters"));
        AdapterServer.message(server.send(404, "GET", "/models/demo/adapters/a1"));
        AdapterServer.message(server.send(404, "POST", "/models/demo/adapters/a1/update?pin=true"));
        AdapterServer.message(server.send(400, "POST", "/models/demo/adapters?name=a1"));
        AdapterServer.message(server.send(400, "POST", "/models/demo/adapters?src=" + source));
        AdapterServer.message(
                server.send(400, "POST", "/adapters?name=a1&pin=maybe&src=" + source));
        AdapterServer.message(server.send(400, "POST", "/adapters?name=a1&name=a2&src=" + source));
        server.send(405, "PUT", "/models/demo/adapters");
    }

    @Test
    public void testVllm() throws Exception {
        String load = "/v1/load_lora_adapter";
        String body = "{'lora_name':'x','lora_path':'%s'}";
        Assert.assertEquals(
                server.text(200, load, body, AdapterServer.source("rot13")),
                "Success: LoRA adapter 'x' added successfully.");
        Assert.assertEquals(server.answer("x", "hello="), "uryyb");
        String taken =
                AdapterServer.message(
                        server.post(400, load, body, AdapterServer.source("reverse")));
        Assert.assertTrue(taken.contains("set load_inplace"), taken);
        server.text(
                200,
                load,
                "{'lora_name':'x','lora_path':'%s','load_inplace':true}",
                AdapterServer.source("reverse"));
        Assert.assertEquals(server.answer("x", "hello="), "olleh");
        Assert.assertEquals(
                server.text(200, "/v1/unload_lora_adapter", "{'lora_name':'x','lora_int_id':1}"),
                "Success: LoRA adapter 'x' removed successfully.");
        AdapterServer.message(server.post(404, "/v1/unload_lora_adapter", "{'lora_name':'x'}"));
        AdapterServer.message(server.post(400, "/v1/unload_lora_adapter", "{}"));
        AdapterServer.message(server.post(400, load, "{'lora_name':'x'}"));
        AdapterServer.message(server.post(403, load, body, "/etc"));
        AdapterServer.message(server.post(403, load, body, "someone/something"));
        server.send(405, "GET", load);
        server.send(415, "POST", load);
    }

    @Test
    public void testSglang() throws Exception {
        String load = "/load_lora_adapter";
        JsonObject loaded =
                server.post(
                        200,
                        load,
                        "{'lora_name':'x','lora_path':'%s','pinned':true}",
                        AdapterServer.source("rot13"));
        Assert.assertTrue(loaded.get("success").getAsBoolean(), "success");
        Assert.assertEquals(
                loaded.getAsJsonObject("loaded_adapters").keySet(),
                Set.of("reverse", "upper", "x"));
        Assert.assertTrue(server.get("/adapters/x").get("pinned").getAsBoolean(), "pinned");
        JsonObject taken =
                server.post(
                        409,
                        load,
                        "{'lora_name':'x','lora_path':'%s'}",
                        AdapterServer.source("rot13"));
        Assert.assertFalse(taken.get("success").getAsBoolean(), "success");
        Assert.assertEquals(
                taken.get("error_message").getAsString(), "there is an adapter \"x\" already");
        JsonObject unloaded = server.post(200, "/unload_lora_adapter", "{'lora_name':'x'}");
        Assert.assertFalse(unloaded.getAsJsonObject("loaded_adapters").has("x"), "x");
        server.post(404, "/unload_lora_adapter", "{'lora_name':'x'}");
        server.post(400, "/unload_lora_adapter", "{'lora_name':['x']}");
        server.post(403, load, "{'lora_name':'y','lora_path':'/etc'}");
        server.send(405, "GET", load);
        server.send(415, "POST", "/unload_lora_adapter");
    }
}
