/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.http.BadRequestException;
import ai.djl.serving.http.MethodNotAllowedException;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.InputStream;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CompletionException;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The routes, with the demo model and its translator behind them. */
public class AdapterRequestHandlerTest {

    private static final String DEMO = TranslatorModel.DEMO.toString();
    private static final String UPPER = "name=upper&src=" + DEMO + "/upper";

    private TranslatorModel model;
    private AdapterRequestHandler handler;
    private String single;

    @BeforeClass
    public void load() throws Exception {
        model = new TranslatorModel();
        handler =
                new AdapterRequestHandler(
                        new ServedModels() {
                            @Override
                            public Optional<ServedModel> find(String name) {
                                return "demo".equals(name) ? Optional.of(model) : Optional.empty();
                            }

                            @Override
                            public Optional<String> single() {
                                return Optional.ofNullable(single);
                            }
                        });
    }

    @AfterClass(alwaysRun = true)
    public void close() {
        model.close();
    }

    @AfterMethod
    public void clean() {
        single = null;
        model.setEnabled(true);
        for (var adapter : get("/models/demo/adapters").getAsJsonArray("adapters")) {
            String name = adapter.getAsJsonObject().get("name").getAsString();
            call(HttpMethod.DELETE, "/models/demo/adapters/" + name);
        }
    }

    private static FullHttpRequest request(HttpMethod method, String uri) {
        return new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, method, uri);
    }

    private JsonObject call(HttpMethod method, String uri) {
        return call(request(method, uri));
    }

    private JsonObject call(FullHttpRequest request) {
        Assert.assertTrue(handler.acceptInboundMessage(request), request.uri());
        QueryStringDecoder decoder = new QueryStringDecoder(request.uri());
        try {
            return (JsonObject)
                    handler.handleRequest(null, request, decoder, decoder.path().split("/")).join();
        } catch (CompletionException e) {
            throw (RuntimeException) e.getCause();
        }
    }

    private JsonObject get(String uri) {
        return call(HttpMethod.GET, uri);
    }

    private void assertRefused(int code, String message, HttpMethod method, String uri) {
        BadRequestException e =
                Assert.expectThrows(BadRequestException.class, () -> call(method, uri));
        Assert.assertEquals(e.getMessage(), message);
        Assert.assertEquals(e.getCode(), code);
    }

    private String answer(String adapter) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        input.add("adapter", adapter);
        input.add("data", "{\"inputs\": \"hello=\"}");
        Output output = model.run(input).join();
        return output.getCode() == 200
                ? JsonParser.parseString(output.getData().getAsString())
                        .getAsJsonObject()
                        .get("generated_text")
                        .getAsString()
                : String.valueOf(output.getCode());
    }

    @Test
    public void testAnAdaptersLife() {
        Assert.assertEquals(answer("upper"), "424");
        JsonObject registered = call(HttpMethod.POST, "/models/demo/adapters?" + UPPER);
        Assert.assertEquals(registered.toString(), "{\"status\":\"Adapter upper registered\"}");
        Assert.assertEquals(answer("upper"), "HELLO");
        JsonObject described = get("/models/demo/adapters/upper");
        Assert.assertEquals(described.get("name").getAsString(), "upper");
        Assert.assertEquals(described.get("src").getAsString(), DEMO + "/upper");
        Assert.assertTrue(described.get("preload").getAsBoolean());
        Assert.assertFalse(described.get("pin").getAsBoolean());
        Assert.assertEquals(described.get("place").getAsString(), "device");
        call(HttpMethod.POST, "/models/demo/adapters/upper/update?pin=true");
        Assert.assertTrue(get("/models/demo/adapters/upper").get("pin").getAsBoolean());
        call(HttpMethod.POST, "/models/demo/adapters/upper/update?pin=false");
        Assert.assertFalse(get("/models/demo/adapters/upper").get("pin").getAsBoolean());
        call(HttpMethod.POST, "/models/demo/adapters/upper/update?src=" + DEMO + "/reverse");
        Assert.assertEquals(answer("upper"), "olleh");
        Assert.assertEquals(
                call(HttpMethod.DELETE, "/models/demo/adapters/upper").toString(),
                "{\"status\":\"Adapter upper unregistered\"}");
        Assert.assertEquals(answer("upper"), "424");
        Assert.assertEquals(get("/models/demo/adapters").toString(), "{\"adapters\":[]}");
    }

    @Test
    public void testAnAliasComesFromItsHeader() {
        FullHttpRequest request = request(HttpMethod.POST, "/models/demo/adapters?" + UPPER);
        request.headers().set("x-amzn-sagemaker-adapter-alias", "loud");
        call(request);
        Assert.assertEquals(answer("loud"), "HELLO");
        JsonArray aliases = get("/models/demo/adapters/upper").getAsJsonArray("aliases");
        Assert.assertEquals(aliases.toString(), "[\"loud\"]");
    }

    @Test
    public void testAListHasPages() {
        for (String adapter : new String[] {"upper", "reverse", "sort"}) {
            String src = "&preload=false&src=" + DEMO + "/" + adapter;
            call(HttpMethod.POST, "/models/demo/adapters?name=" + adapter + src);
        }
        JsonObject first = get("/models/demo/adapters?limit=2");
        Assert.assertEquals(first.get("nextPageToken").getAsString(), "2");
        Assert.assertEquals(names(first), "reverse sort ");
        JsonObject last = get("/models/demo/adapters?limit=2&next_page_token=2");
        Assert.assertEquals(names(last), "upper ");
        Assert.assertFalse(last.has("nextPageToken"));
        Assert.assertEquals(names(get("/models/demo/adapters?next_page_token=9")), "");
        Assert.assertEquals(names(get("/models/demo/adapters?limit=0")), "");
        JsonObject item = first.getAsJsonArray("adapters").get(0).getAsJsonObject();
        Assert.assertEquals(item.keySet().toString(), "[name, src, preload, pin]");
        Assert.assertFalse(item.get("preload").getAsBoolean());
    }

    private static String names(JsonObject list) {
        StringBuilder names = new StringBuilder();
        for (var adapter : list.getAsJsonArray("adapters")) {
            names.append(adapter.getAsJsonObject().get("name").getAsString()).append(' ');
        }
        return names.toString();
    }

    @Test
    public void testWhatIsWrongIsRefusedAndHurtsNothing() {
        call(HttpMethod.POST, "/models/demo/adapters?" + UPPER);
        String path = "/models/demo/adapters";
        assertRefused(
                409,
                "The adapter upper already exists; unregister or update it",
                HttpMethod.POST,
                path + "?" + UPPER);
        assertRefused(400, "Parameter src is required.", HttpMethod.POST, path + "?name=x");
        assertRefused(400, "Parameter name is required.", HttpMethod.POST, path + "?src=/x");
        assertRefused(
                400,
                "Parameter name is given twice.",
                HttpMethod.POST,
                path + "?name=x&name=y&src=/x");
        assertRefused(
                400,
                "pin is maybe; true or false is needed",
                HttpMethod.POST,
                path + "?name=x&pin=maybe&src=" + DEMO + "/upper");
        assertRefused(
                400,
                "the parameter rank is not known; known are [alias, name, pin, preload, src]",
                HttpMethod.POST,
                path + "?name=x&rank=1&src=" + DEMO + "/upper");
        assertRefused(
                400,
                "src is https://x/y; a path or a file: URI is needed",
                HttpMethod.POST,
                path + "?name=x&src=https://x/y");
        assertRefused(
                424,
                "/nowhere: there is no such file or directory",
                HttpMethod.POST,
                path + "?name=x&src=/nowhere");
        String unknown = "Unknown adapter \"x\"; registered are [upper]";
        assertRefused(404, unknown, HttpMethod.GET, path + "/x");
        assertRefused(404, unknown, HttpMethod.DELETE, path + "/x");
        assertRefused(404, unknown, HttpMethod.POST, path + "/x/update?pin=true");
        assertRefused(
                424,
                "/nowhere: there is no such file or directory",
                HttpMethod.POST,
                path + "/upper/update?src=/nowhere");
        assertRefused(
                400,
                "Parameter limit is -1; it must be 0 or more",
                HttpMethod.GET,
                path + "?limit=-1");
        assertRefused(
                400,
                "Parameter limit is x; it must be 0 or more",
                HttpMethod.GET,
                path + "?limit=x");
        Assert.assertEquals(answer("upper"), "HELLO");
        Assert.assertEquals(names(get(path)), "upper ");
    }

    @DataProvider
    public Object[][] wrongMethods() {
        return new Object[][] {
            {HttpMethod.PUT, "/models/demo/adapters"},
            {HttpMethod.DELETE, "/models/demo/adapters"},
            {HttpMethod.POST, "/models/demo/adapters/upper"},
            {HttpMethod.GET, "/models/demo/adapters/upper/update"},
            {HttpMethod.POST, "/models/demo/adapters/upper/other"},
        };
    }

    @Test(dataProvider = "wrongMethods")
    public void testWrongMethodsAreRefused(HttpMethod method, String uri) {
        Assert.expectThrows(MethodNotAllowedException.class, () -> call(method, uri));
    }

    @DataProvider
    public Object[][] others() {
        return new Object[][] {
            {"/models/other/adapters"},
            {"/models/other/adapters/x?y=z"},
            {"/models/demo"},
            {"/models/demo/adaptersX"},
            {"/predictions/demo"},
            {"/adapters"},
            {"/"},
        };
    }

    @Test(dataProvider = "others")
    public void testOtherRequestsStayWithTheServer(String uri) {
        Assert.assertFalse(handler.acceptInboundMessage(request(HttpMethod.GET, uri)));
    }

    @Test
    public void testWithoutAPrefixTheOnlyModelIsMeant() {
        single = "demo";
        call(HttpMethod.POST, "/adapters?" + UPPER);
        Assert.assertEquals(names(get("/adapters")), "upper ");
        Assert.assertEquals(get("/adapters/upper").get("name").getAsString(), "upper");
        single = "other";
        Assert.assertFalse(handler.acceptInboundMessage(request(HttpMethod.GET, "/adapters")));
    }

    @Test
    public void testAModelMayHaveAdaptersSwitchedOff() {
        model.setEnabled(false);
        assertRefused(400, "LoRA is not enabled.", HttpMethod.GET, "/models/demo/adapters");
    }

    @Test
    public void testThePluginNamesAHandlerThatIsThere() throws Exception {
        Properties definition = new Properties();
        try (InputStream in =
                AdapterRequestHandler.class.getResourceAsStream("/META-INF/plugin.definition")) {
            definition.load(in);
        }
        Assert.assertEquals(definition.getProperty("name"), "djl-lora");
        Class<?> exported = Class.forName(definition.getProperty("export"));
        Assert.assertEquals(exported, AdapterRequestHandler.class);
        Assert.assertNotNull(exported.getConstructor());
    }
}
