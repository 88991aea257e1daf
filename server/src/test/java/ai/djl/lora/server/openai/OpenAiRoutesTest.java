/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.server.DemoServer;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Tests OpenAI's routes against the demo model, whose answers are known. */
public class OpenAiRoutesTest {

    private static final String TEXT = "/v1/completions";
    private static final String VECTORS = "/v1/embeddings";
    private static final String CHAT = "/v1/chat/completions";

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

    private static JsonObject choice(JsonObject answer, int index) {
        JsonObject choice = answer.getAsJsonArray("choices").get(index).getAsJsonObject();
        Assert.assertEquals(choice.get("index").getAsInt(), index);
        return choice;
    }

    private static String said(JsonObject answer, int index) {
        return choice(answer, index).getAsJsonObject("message").get("content").getAsString();
    }

    /** Returns the events of a stream; the last must be the mark of its end. */
    private List<JsonObject> events(String path, String json) throws Exception {
        HttpResponse<String> response = demo.post(path, json);
        Assert.assertEquals(response.statusCode(), 200, response.body());
        Assert.assertEquals(
                response.headers().firstValue("Content-Type").orElse(""),
                "text/event-stream; charset=utf-8");
        List<JsonObject> events = new ArrayList<>();
        String[] parts = response.body().split("\n\n");
        for (String part : parts) {
            Assert.assertTrue(part.startsWith("data: "), part);
            if (!"data: [DONE]".equals(part)) {
                events.add(JsonParser.parseString(part.substring(6)).getAsJsonObject());
            }
        }
        Assert.assertEquals(parts[parts.length - 1], "data: [DONE]");
        return events;
    }

    @Test
    public void testCompletion() throws Exception {
        HttpResponse<String> response =
                demo.post(TEXT, "{'model':'upper','prompt':'hello=','temperature':0}");
        JsonObject answer = JsonParser.parseString(response.body()).getAsJsonObject();
        Assert.assertEquals(answer.get("object").getAsString(), "text_completion");
        Assert.assertEquals(answer.get("model").getAsString(), "upper");
        Assert.assertEquals(answer.get("adapter").getAsString(), "upper");
        String revision = demo.server().model().adapters().state("upper").revision();
        Assert.assertEquals(answer.get("revision").getAsString(), revision);
        Assert.assertEquals(response.headers().firstValue("X-Adapter").orElse(""), "upper");
        Assert.assertEquals(
                response.headers().firstValue("X-Adapter-Revision").orElse(""), revision);
        JsonObject choice = choice(answer, 0);
        Assert.assertEquals(choice.get("text").getAsString(), "HELLO");
        Assert.assertEquals(choice.get("finish_reason").getAsString(), "stop");
        Assert.assertTrue(choice.get("logprobs").isJsonNull());
        // a token for each character, with the token that begins a text and the one that ends it
        JsonObject usage = answer.getAsJsonObject("usage");
        Assert.assertEquals(usage.get("prompt_tokens").getAsInt(), 7);
        Assert.assertEquals(usage.get("completion_tokens").getAsInt(), 6);
        Assert.assertEquals(usage.get("total_tokens").getAsInt(), 13);
    }

    @Test
    public void testTextsAndTokens() throws Exception {
        JsonObject texts =
                answer(
                        TEXT,
                        "{'prompt':['hello=','planet='],'adapters':['upper','reverse'],'temperature':0}");
        Assert.assertEquals(choice(texts, 0).get("text").getAsString(), "HELLO");
        Assert.assertEquals(choice(texts, 1).get("text").getAsString(), "tenalp");
        Assert.assertEquals(choice(texts, 1).get("adapter").getAsString(), "reverse");
        Assert.assertFalse(texts.has("adapter"));
        int[] ids = demo.server().model().tokenizer().encode("hello=");
        String tokens = Arrays.toString(ids);
        JsonObject one =
                answer(TEXT, "{'model':'demo:upper','prompt':" + tokens + ",'temperature':0}");
        Assert.assertEquals(choice(one, 0).get("text").getAsString(), "HELLO");
        JsonObject two =
                answer(
                        TEXT,
                        "{'prompt':["
                                + tokens
                                + ','
                                + tokens
                                + "],'adapter':'reverse','temperature':0,'n':2}");
        for (int i = 0; i < 4; ++i) {
            Assert.assertEquals(choice(two, i).get("text").getAsString(), "olleh");
        }
    }

    @Test
    public void testChat() throws Exception {
        JsonObject answer =
                answer(
                        CHAT,
                        "{'model':'reverse','messages':[{'role':'user','content':[{'type':'text',"
                                + "'text':'hello'}]}],'temperature':0,'user':'someone','store':false}");
        Assert.assertEquals(answer.get("object").getAsString(), "chat.completion");
        Assert.assertEquals(said(answer, 0), "olleh");
        Assert.assertEquals(answer.get("adapter").getAsString(), "reverse");
    }

    @Test
    public void testStream() throws Exception {
        List<JsonObject> events =
                events(
                        CHAT,
                        "{'model':'upper','messages':[{'role':'user','content':'hello'}],'n':3,"
                                + "'temperature':0,'stream':true,"
                                + "'stream_options':{'include_usage':true}}");
        StringBuilder[] texts = {
            new StringBuilder(), new StringBuilder(), new StringBuilder(),
        };
        int ends = 0;
        for (JsonObject event : events.subList(0, events.size() - 1)) {
            Assert.assertEquals(event.get("object").getAsString(), "chat.completion.chunk");
            Assert.assertEquals(event.get("adapter").getAsString(), "upper");
            Assert.assertTrue(event.get("usage").isJsonNull());
            JsonObject choice = event.getAsJsonArray("choices").get(0).getAsJsonObject();
            JsonElement content = choice.getAsJsonObject("delta").get("content");
            int index = choice.get("index").getAsInt();
            texts[index].append(content == null ? "" : content.getAsString());
            ends += choice.get("finish_reason").isJsonNull() ? 0 : 1;
        }
        Assert.assertEquals(ends, 3);
        for (StringBuilder text : texts) {
            Assert.assertEquals(text.toString(), "HELLO");
        }
        JsonObject last = events.get(events.size() - 1);
        Assert.assertEquals(last.getAsJsonArray("choices").size(), 0);
        JsonObject usage = last.getAsJsonObject("usage");
        Assert.assertEquals(usage.get("completion_tokens").getAsInt(), 18);
    }

    @Test
    public void testStreamOfTextsHasLogProbs() throws Exception {
        List<JsonObject> events =
                events(
                        TEXT,
                        "{'prompt':['hello=','quartz='],'model':'upper','temperature':0,"
                                + "'stream':true,'logprobs':2}");
        StringBuilder[] texts = {new StringBuilder(), new StringBuilder()};
        for (JsonObject event : events) {
            JsonObject choice = event.getAsJsonArray("choices").get(0).getAsJsonObject();
            StringBuilder text = texts[choice.get("index").getAsInt()];
            JsonObject logProbs = choice.getAsJsonObject("logprobs");
            Assert.assertEquals(
                    logProbs.getAsJsonArray("text_offset").get(0).getAsInt(), text.length());
            text.append(choice.get("text").getAsString());
            Assert.assertEquals(
                    logProbs.getAsJsonArray("tokens").get(0).getAsString(),
                    choice.get("text").getAsString());
        }
        Assert.assertEquals(texts[0].toString(), "HELLO");
        Assert.assertEquals(texts[1].toString(), "QUARTZ");
    }

    @Test
    public void testLogProbs() throws Exception {
        JsonObject chat =
                answer(
                        CHAT,
                        "{'model':'upper','messages':[{'role':'user','content':'hello'}],"
                                + "'temperature':0,'logprobs':true,'top_logprobs':3}");
        JsonArray content = choice(chat, 0).getAsJsonObject("logprobs").getAsJsonArray("content");
        Assert.assertEquals(content.size(), 6);
        JsonObject first = content.get(0).getAsJsonObject();
        Assert.assertEquals(first.get("token").getAsString(), "H");
        Assert.assertEquals(first.get("bytes").toString(), "[72]");
        JsonArray top = first.getAsJsonArray("top_logprobs");
        Assert.assertEquals(top.size(), 3);
        // greedy: the token is the likeliest
        Assert.assertEquals(top.get(0).getAsJsonObject().get("logprob"), first.get("logprob"));
        JsonObject text =
                answer(TEXT, "{'model':'upper','prompt':'hello=','temperature':0,'logprobs':0}");
        JsonObject lists = choice(text, 0).getAsJsonObject("logprobs");
        Assert.assertEquals(lists.get("tokens").toString(), "[\"H\",\"E\",\"L\",\"L\",\"O\",\"\"]");
        Assert.assertEquals(lists.get("text_offset").toString(), "[0,1,2,3,4,5]");
        Assert.assertEquals(
                lists.getAsJsonArray("token_logprobs").get(0).getAsDouble(),
                first.get("logprob").getAsDouble(),
                // the prompts differ in how their tokens came into one batch, no more
                1e-4);
    }

    @Test
    public void testConstraintsAndStops() throws Exception {
        JsonObject chosen =
                answer(
                        TEXT,
                        "{'model':'upper','prompt':'hello=','guided_choice':['bad','HELP'],"
                                + "'temperature':0}");
        Assert.assertEquals(choice(chosen, 0).get("text").getAsString(), "HELP");
        JsonObject formatted =
                answer(
                        CHAT,
                        "{'model':'upper','messages':[{'role':'user','content':'hello'}],"
                                + "'max_completion_tokens':40,'response_format':{'type':'json_schema',"
                                + "'json_schema':{'name':'answer','strict':true,'schema':{'type':"
                                + "'object','properties':{'a':{'type':'string','maxLength':3}},"
                                + "'required':['a'],'additionalProperties':false}}}}");
        JsonObject object = JsonParser.parseString(said(formatted, 0)).getAsJsonObject();
        Assert.assertTrue(object.get("a").getAsString().length() <= 3, object.toString());
        JsonObject stopped =
                answer(
                        TEXT,
                        "{'model':'upper','prompt':'hello=','stop':'LO','temperature':0,"
                                + "'max_tokens':5}");
        Assert.assertEquals(choice(stopped, 0).get("text").getAsString(), "HEL");
        JsonObject cut =
                answer(TEXT, "{'model':'upper','prompt':'hello=','temperature':0,'max_tokens':2}");
        Assert.assertEquals(choice(cut, 0).get("finish_reason").getAsString(), "length");
    }

    @Test
    public void testSeeds() throws Exception {
        String body =
                "{'model':'demo','prompt':'h','temperature':2,'max_tokens':12,'ignore_eos':true%s}";
        String seeded = String.format(body, ",'seed':7");
        String first = choice(answer(TEXT, seeded), 0).get("text").getAsString();
        Assert.assertEquals(choice(answer(TEXT, seeded), 0).get("text").getAsString(), first);
        // one of four differs from the first, but for a chance of less than one in a million
        boolean different = false;
        for (int i = 0; i < 4 && !different; ++i) {
            String text =
                    choice(answer(TEXT, String.format(body, "")), 0).get("text").getAsString();
            different = !text.equals(first);
        }
        Assert.assertTrue(different, first);
    }

    @Test
    public void testEmbeddings() throws Exception {
        JsonObject list =
                answer(
                        VECTORS,
                        "{'model':'demo','input':['hello','planet'],'dimensions':256,"
                                + "'encoding_format':'float'}");
        JsonArray data = list.getAsJsonArray("data");
        Assert.assertEquals(data.size(), 2);
        JsonArray vector = data.get(0).getAsJsonObject().getAsJsonArray("embedding");
        Assert.assertEquals(vector.size(), 256);
        double length = 0;
        for (JsonElement value : vector) {
            length += value.getAsDouble() * value.getAsDouble();
        }
        // a sum of 256 rounded squares
        Assert.assertEquals(length, 1, 1e-5);
        int[] ids = demo.server().model().tokenizer().encode("hello");
        JsonObject packed =
                answer(
                        VECTORS,
                        "{'input':"
                                + Arrays.toString(ids)
                                + ",'model':'upper','encoding_format':'base64'}");
        Assert.assertEquals(packed.get("adapter").getAsString(), "upper");
        Assert.assertEquals(
                packed.getAsJsonObject("usage").get("prompt_tokens").getAsInt(), ids.length);
        JsonObject first = packed.getAsJsonArray("data").get(0).getAsJsonObject();
        FloatBuffer adapted =
                ByteBuffer.wrap(Base64.getDecoder().decode(first.get("embedding").getAsString()))
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .asFloatBuffer();
        Assert.assertEquals(adapted.remaining(), 256);
        double apart = 0;
        for (int i = 0; i < 256; ++i) {
            apart += Math.abs(adapted.get(i) - vector.get(i).getAsDouble());
        }
        Assert.assertTrue(apart > 0.1, "the adapter changes the vector");
    }

    @Test
    public void testManyEmbeddings() throws Exception {
        // more than the engine is given at a time
        String texts = "'hello','planet',".repeat(50);
        JsonObject list =
                answer(
                        VECTORS,
                        "{'model':'upper','encoding_format':'base64','input':["
                                + texts.substring(0, texts.length() - 1)
                                + "]}");
        JsonArray data = list.getAsJsonArray("data");
        Assert.assertEquals(data.size(), 100);
        Assert.assertEquals(data.get(99).getAsJsonObject().get("index").getAsInt(), 99);
        // one that is wrong fails them all
        HttpResponse<String> wrong =
                demo.post(VECTORS, "{'input':[" + texts + "'" + "a".repeat(200) + "']}");
        Assert.assertEquals(wrong.statusCode(), 400);
    }

    @Test
    public void testModels() throws Exception {
        HttpResponse<String> response = demo.send("GET", "/v1/models");
        JsonArray data =
                JsonParser.parseString(response.body()).getAsJsonObject().getAsJsonArray("data");
        List<String> ids = new ArrayList<>();
        for (JsonElement each : data) {
            ids.add(each.getAsJsonObject().get("id").getAsString());
        }
        Assert.assertEquals(ids, List.of("demo", "reverse", "upper"));
        JsonObject upper =
                JsonParser.parseString(demo.send("GET", "/v1/models/upper").body())
                        .getAsJsonObject();
        Assert.assertEquals(upper.get("object").getAsString(), "model");
        Assert.assertEquals(upper.get("root").getAsString(), "demo");
        Assert.assertEquals(upper.get("parent").getAsString(), "demo");
        Assert.assertEquals(demo.send("GET", "/v1/models/other").statusCode(), 404);
        Assert.assertEquals(demo.send("POST", "/v1/models").statusCode(), 405);
    }

    /** Bodies that are wrong: path, body, status, code, field. */
    @DataProvider
    public Object[][] refusals() {
        String say = "'messages':[{'role':'user','content':'hello'}]";
        return new Object[][] {
            {TEXT, "{}", 400, "invalid_request", "prompt"},
            {TEXT, "nonsense", 400, "invalid_json", null},
            {TEXT, "[]", 400, "invalid_json", null},
            {TEXT, "{'prompt':'a','prompt':'b'}", 400, "invalid_json", null},
            {TEXT, "{'prompt':7}", 400, "invalid_request", "prompt"},
            {TEXT, "{'prompt':[]}", 400, "invalid_request", "prompt"},
            {TEXT, "{'prompt':['a',7]}", 400, "invalid_request", "prompt[1]"},
            {TEXT, "{'prompt':[[1],['a']]}", 400, "invalid_request", "prompt[1][0]"},
            {TEXT, "{'prompt':[1,9999]}", 400, "invalid_request", null},
            {TEXT, "{'prompt':'a','model':'other'}", 404, "model_not_found", "model"},
            {TEXT, "{'prompt':'a','model':'demo:other'}", 404, "model_not_found", "model"},
            {TEXT, "{'prompt':'a','adapter':'other'}", 404, "model_not_found", "adapter"},
            {
                TEXT,
                "{'prompt':'a','model':'upper','adapter':'reverse'}",
                400,
                "invalid_request",
                "adapter"
            },
            {TEXT, "{'prompt':'a','max_tokens':0}", 400, "invalid_request", "max_tokens"},
            {TEXT, "{'prompt':'a','max_tokens':1e99}", 400, "invalid_request", "max_tokens"},
            {TEXT, "{'prompt':'a','max_tokens':1e999999999}", 400, "invalid_request", "max_tokens"},
            {
                TEXT,
                "{'prompt':'a','max_tokens':3,'max_completion_tokens':4}",
                400,
                "invalid_request",
                "max_completion_tokens"
            },
            {TEXT, "{'prompt':'a','temperature':-1}", 400, "invalid_request", "temperature"},
            {TEXT, "{'prompt':'a','temperature':'1'}", 400, "invalid_request", "temperature"},
            {TEXT, "{'prompt':'a','top_p':2}", 400, "invalid_request", "top_p"},
            {TEXT, "{'prompt':'a','n':1000}", 400, "invalid_request", "n"},
            {TEXT, "{'prompt':'a','best_of':0}", 400, "invalid_request", "best_of"},
            {TEXT, "{'prompt':'a','best_of':2,'stream':true}", 400, "invalid_request", "best_of"},
            {TEXT, "{'prompt':'a','logprobs':99}", 400, "invalid_request", "logprobs"},
            {TEXT, "{'prompt':'a','stop':['']}", 400, "invalid_request", "stop"},
            {TEXT, "{'prompt':'a','logit_bias':{'x':1}}", 400, "invalid_request", "logit_bias.x"},
            {TEXT, "{'prompt':'a','logit_bias':{'1':999}}", 400, "invalid_request", "logit_bias"},
            {TEXT, "{'prompt':'a','echo':true}", 400, "invalid_request", "echo"},
            {TEXT, "{'prompt':'a','suffix':'b'}", 400, "invalid_request", "suffix"},
            {TEXT, "{'prompt':'a','stream':1}", 400, "invalid_request", "stream"},
            {TEXT, "{'prompt':'a','stream_options':{}}", 400, "invalid_request", "stream_options"},
            {TEXT, "{'prompt':'a','priority':'high'}", 400, "invalid_request", "priority"},
            {TEXT, "{'prompt':'a','deadline_ms':0}", 400, "invalid_request", "deadline_ms"},
            {TEXT, "{'prompt':'a','unheard_of':1}", 400, "invalid_request", "unheard_of"},
            {TEXT, "{'prompt':'a','guided_regex':'('}", 400, "invalid_request", null},
            {
                TEXT,
                "{'prompt':'a','guided_regex':'a','guided_choice':['b']}",
                400,
                "invalid_request",
                "guided_choice"
            },
            {TEXT, "{'prompt':'" + "a".repeat(200) + "'}", 400, "context_length_exceeded", null},
            {VECTORS, "{}", 400, "invalid_request", "input"},
            {VECTORS, "{'input':'a','dimensions':7}", 400, "invalid_request", "dimensions"},
            {
                VECTORS,
                "{'input':'a','encoding_format':'x'}",
                400,
                "invalid_request",
                "encoding_format"
            },
            {VECTORS, "{'input':'" + "a".repeat(200) + "'}", 400, "context_length_exceeded", null},
            {VECTORS, "{'input':'a','model':'other'}", 404, "model_not_found", "model"},
            {VECTORS, "{'input':'a','n':1}", 400, "invalid_request", "n"},
            {CHAT, "{}", 400, "invalid_request", "messages"},
            {CHAT, "{'messages':[]}", 400, "invalid_request", "messages"},
            {CHAT, "{'messages':'hello'}", 400, "invalid_request", "messages"},
            {CHAT, "{'messages':[{'content':'a'}]}", 400, "invalid_request", "messages"},
            {CHAT, "{'messages':[{'role':'user'}]}", 400, "invalid_request", "messages[0].content"},
            {
                CHAT,
                "{'messages':[{'role':'user','content':[{'type':'image_url'}]}]}",
                400,
                "invalid_request",
                "messages[0].content[0].type"
            },
            {
                CHAT,
                "{'messages':[{'role':'assistant','content':'a'}]}",
                400,
                "invalid_request",
                null
            },
            {
                CHAT,
                "{" + say + ",'modalities':['text','audio']}",
                400,
                "invalid_request",
                "modalities"
            },
            {CHAT, "{" + say + ",'audio':{}}", 400, "invalid_request", "audio"},
            {
                CHAT,
                "{" + say + ",'tools':[{}],'tool_choice':'required'}",
                400,
                "invalid_request",
                "tool_choice"
            },
            {CHAT, "{" + say + ",'tool_choice':'auto'}", 400, "invalid_request", "tool_choice"},
            {CHAT, "{" + say + ",'top_logprobs':3}", 400, "invalid_request", "top_logprobs"},
            {CHAT, "{" + say + ",'prompt':'a'}", 400, "invalid_request", "prompt"},
            {
                CHAT,
                "{" + say + ",'response_format':{'type':'xml'}}",
                400,
                "invalid_request",
                "response_format"
            },
        };
    }

    @Test(dataProvider = "refusals")
    public void testRefusal(String path, String body, int status, String code, String field)
            throws Exception {
        HttpResponse<String> response = demo.post(path, body);
        Assert.assertEquals(response.statusCode(), status, response.body());
        JsonObject error =
                JsonParser.parseString(response.body()).getAsJsonObject().getAsJsonObject("error");
        Assert.assertEquals(error.get("code").getAsString(), code, response.body());
        JsonElement param = error.get("param");
        Assert.assertEquals(param.isJsonNull() ? null : param.getAsString(), field);
        // one line, which begins with the field where there is one
        String message = error.get("message").getAsString();
        Assert.assertFalse(message.contains("\n"), message);
        // and nothing of it is sent as a stream
        Assert.assertEquals(
                response.headers().firstValue("Content-Type").orElse(""), "application/json");
    }

    @Test
    public void testMethodAndContentType() throws Exception {
        for (String path : List.of(TEXT, CHAT, VECTORS)) {
            Assert.assertEquals(demo.send("GET", path).statusCode(), 405);
            HttpResponse<String> text =
                    demo.send(
                            HttpRequest.newBuilder(demo.uri(path))
                                    .header("Content-Type", "text/plain")
                                    .POST(HttpRequest.BodyPublishers.ofString("hello=")));
            Assert.assertEquals(text.statusCode(), 415, text.body());
        }
    }
}
