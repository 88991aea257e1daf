/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.DemoServer;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Tests the routes of TGI, SageMaker and DJL Serving against the demo model. */
public class GenerateRoutesTest {

    private DemoServer demo;

    @BeforeClass
    public void start() throws Exception {
        demo = new DemoServer();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    private JsonObject answer(String path, String json) throws Exception {
        HttpResponse<String> response = demo.post(path, json);
        Assert.assertEquals(response.statusCode(), 200, response.body());
        return JsonParser.parseString(response.body()).getAsJsonObject();
    }

    private static String text(JsonObject answer) {
        return answer.get("generated_text").getAsString();
    }

    private String revision(String adapter) {
        return demo.server().model().adapters().state(adapter).revision();
    }

    private HttpRequest.Builder post(String path, String type, String body) {
        return HttpRequest.newBuilder(demo.uri(path))
                .header("Content-Type", type)
                .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')));
    }

    @Test
    public void testPlainBody() throws Exception {
        JsonObject answer =
                answer("/generate", "{'prompt':'hello=','adapter_id':'upper','max_tokens':8}");
        Assert.assertEquals(text(answer), "HELLO");
        Assert.assertEquals(answer.get("adapter").getAsString(), "upper");
        Assert.assertEquals(answer.get("revision").getAsString(), revision("upper"));
        Assert.assertFalse(answer.has("details"));
        JsonObject base = answer("/generate", "{'prompt':'hello='}");
        Assert.assertEquals(text(base), "hello");
        Assert.assertEquals(base.get("adapter").getAsString(), "");
        Assert.assertEquals(base.get("revision").getAsString(), "base");
    }

    @Test
    public void testDetails() throws Exception {
        JsonObject answer =
                answer(
                        "/generate",
                        "{'inputs':'hello=','parameters':{'adapter_id':'upper','details':true,"
                                + "'max_new_tokens':20,'top_n_tokens':2,'return_full_text':true,"
                                + "'do_sample':false,'watermark':false,'truncate':null}}");
        Assert.assertEquals(text(answer), "hello=HELLO");
        JsonObject details = answer.getAsJsonObject("details");
        Assert.assertEquals(details.get("finish_reason").getAsString(), "eos_token");
        Assert.assertEquals(details.get("generated_tokens").getAsInt(), 6);
        JsonArray tokens = details.getAsJsonArray("tokens");
        Assert.assertEquals(tokens.get(4).getAsJsonObject().get("text").getAsString(), "O");
        Assert.assertTrue(tokens.get(5).getAsJsonObject().get("special").getAsBoolean());
        Assert.assertEquals(details.getAsJsonArray("top_tokens").get(0).getAsJsonArray().size(), 2);
        JsonObject stopped =
                answer(
                        "/generate",
                        "{'inputs':'hello=','parameters':{'adapter_id':'upper','details':true,"
                                + "'stop':['L']}}");
        Assert.assertEquals(
                stopped.getAsJsonObject("details").get("finish_reason").getAsString(),
                "stop_sequence");
        JsonObject best =
                answer(
                        "/generate",
                        "{'inputs':'hello=','parameters':{'adapter_id':'upper','details':true,"
                                + "'best_of':2,'n':2}}");
        Assert.assertEquals(
                best.getAsJsonObject("details").getAsJsonArray("best_of_sequences").size(), 1);
    }

    @Test
    public void testStream() throws Exception {
        HttpResponse<String> response =
                demo.post(
                        "/generate_stream",
                        "{'inputs':'planet=','parameters':{'adapter_id':'reverse'}}");
        Assert.assertEquals(response.statusCode(), 200, response.body());
        String[] events = response.body().split("\n\n");
        Assert.assertEquals(events.length, 7, response.body());
        StringBuilder text = new StringBuilder();
        for (String event : events) {
            Assert.assertTrue(event.startsWith("data:{"), event);
            JsonObject read = JsonParser.parseString(event.substring(5)).getAsJsonObject();
            text.append(read.getAsJsonObject("token").get("text").getAsString());
        }
        Assert.assertEquals(text.toString(), "tenalp");
        JsonObject last = JsonParser.parseString(events[6].substring(5)).getAsJsonObject();
        Assert.assertEquals(text(last), "tenalp");
        Assert.assertEquals(last.getAsJsonObject("details").get("generated_tokens").getAsInt(), 7);
        Assert.assertEquals(last.get("adapter").getAsString(), "reverse");
        Assert.assertEquals(last.get("revision").getAsString(), revision("reverse"));
        Assert.assertEquals(
                response.headers().firstValue("X-Adapter-Revision").orElse(""),
                revision("reverse"));
    }

    @Test
    public void testServingBody() throws Exception {
        HttpResponse<String> response =
                demo.post(
                        "/invocations",
                        "{'inputs':['hello=','planet=','lora='],'adapters':['upper','reverse',''],"
                                + "'parameters':{'max_new_tokens':10}}");
        JsonArray answers = JsonParser.parseString(response.body()).getAsJsonArray();
        List<String> texts = List.of("HELLO", "tenalp", "lora");
        for (int i = 0; i < texts.size(); ++i) {
            Assert.assertEquals(text(answers.get(i).getAsJsonObject()), texts.get(i));
        }
        Assert.assertEquals(
                response.headers().firstValue("X-Adapter").orElse(null), "upper,reverse,");
        JsonObject one =
                answer("/predictions/demo?adapter=upper", "{'inputs':'hello=','adapter':'upper'}");
        Assert.assertEquals(text(one), "HELLO");
        Assert.assertEquals(one.get("adapter_revision").getAsString(), revision("upper"));
        JsonObject chat =
                answer(
                        "/invocations",
                        "{'messages':[{'role':'user','content':'hello'}],'adapters':'reverse'}");
        Assert.assertEquals(text(chat), "olleh");
    }

    @Test
    public void testSageMakerHeadersAndText() throws Exception {
        HttpResponse<String> response =
                demo.send(
                        post("/invocations", "text/plain; charset=utf-8", "hello=")
                                .header("X-Amzn-SageMaker-Adapter-Identifier", "upper"));
        Assert.assertEquals(response.statusCode(), 200, response.body());
        Assert.assertEquals(
                text(JsonParser.parseString(response.body()).getAsJsonObject()), "HELLO");
        HttpResponse<String> disagree =
                demo.send(
                        post("/invocations", "text/plain", "hello=")
                                .header("X-Amzn-SageMaker-Adapter-Identifier", "upper")
                                .header("X-Amzn-SageMaker-Adapter-Alias", "reverse"));
        Assert.assertEquals(disagree.statusCode(), 400);
        Assert.assertTrue(disagree.body().contains("they must agree"), disagree.body());
    }

    @Test
    public void testServingStream() throws Exception {
        HttpResponse<String> response =
                demo.post(
                        "/predictions/demo",
                        "{'inputs':'hello=','adapters':'upper','stream':true}");
        Assert.assertEquals(
                response.headers().firstValue("Content-Type").orElse(""), "application/jsonlines");
        String[] lines = response.body().split("\n");
        Assert.assertEquals(lines.length, 6, response.body());
        JsonObject last = JsonParser.parseString(lines[5]).getAsJsonObject();
        Assert.assertEquals(text(last), "HELLO");
        Assert.assertEquals(last.getAsJsonObject("details").get("adapter").getAsString(), "upper");
    }

    @DataProvider
    public Object[][] refusals() {
        return new Object[][] {
            {"/generate", "{}", 400, "inputs is missing"},
            {"/generate", "{'inputs':'a','prompt':'b'}", 400, "both given"},
            {"/generate", "{'inputs':['a']}", 400, "inputs is [\\\"a\\\"]"},
            {
                "/generate",
                "{'inputs':'a','parameters':{'max_new_tokens':'9'}}",
                400,
                "parameters.max_new_tokens is"
            },
            {"/generate", "{'inputs':'a','parameters':{'odd':1}}", 400, "parameters.odd"},
            {"/generate", "{'inputs':'a','parameters':{},'temperature':1}", 400, "temperature"},
            {"/generate", "{'inputs':'a','parameters':{'truncate':3}}", 400, "never cut"},
            {
                "/generate",
                "{'inputs':'a','parameters':{'adapter_source':'s3'}}",
                400,
                "adapter_source"
            },
            {
                "/generate",
                "{'inputs':'a','parameters':{'do_sample':true,'temperature':0}}",
                400,
                "do_sample"
            },
            {"/generate", "{'inputs':'a','adapter_id':'other'}", 404, "other"},
            {
                "/generate",
                "{'inputs':'a','adapter_id':'upper','parameters':{'adapter_id':'reverse'}}",
                400,
                "must agree"
            },
            {"/generate_stream", "{'inputs':'a','parameters':{'n':2}}", 400, "one answer"},
            {"/generate_stream", "{'inputs':'a','stream':false}", 400, "stream is false"},
            {"/invocations", "{}", 400, "inputs is missing"},
            {"/invocations", "{'inputs':[]}", 400, "inputs is empty"},
            {"/invocations", "{'inputs':'a','messages':[]}", 400, "both given"},
            {"/invocations", "{'inputs':['a','b'],'adapters':['upper']}", 400, "1 names for 2"},
            {"/invocations", "{'inputs':['a'],'stream':true}", 400, "stream is true"},
            {
                "/invocations",
                "{'inputs':'a','parameters':{'guided_regex':'a'},"
                        + "'response_format':{'type':'json_object'}}",
                400,
                "give one"
            },
            {"/predictions/other", "{'inputs':'a'}", 404, "other"},
            {"/predictions/demo", "{'inputs':'a','model':'upper'}", 400, "must agree"},
        };
    }

    @Test(dataProvider = "refusals")
    public void testRefusal(String path, String body, int status, String message) throws Exception {
        HttpResponse<String> response = demo.post(path, body);
        Assert.assertEquals(response.statusCode(), status, response.body());
        Assert.assertTrue(response.body().contains(message), response.body());
        JsonObject error = JsonParser.parseString(response.body()).getAsJsonObject();
        Assert.assertTrue(
                path.startsWith("/generate") ? error.has("error_type") : error.has("type"),
                response.body());
    }

    @Test
    public void testMethodAndContentType() throws Exception {
        for (String path :
                List.of("/generate", "/generate_stream", "/invocations", "/predictions/demo")) {
            Assert.assertEquals(demo.send("PUT", path).statusCode(), 405);
            Assert.assertEquals(demo.send(post(path, "text/xml", "<a/>")).statusCode(), 415);
        }
    }
}
