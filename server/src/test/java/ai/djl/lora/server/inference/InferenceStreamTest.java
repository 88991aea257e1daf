/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.model.ServedModel;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Tests answers on their way: clients that go or read slowly, failures, limits, many at once. */
public class InferenceStreamTest {

    /** Hundreds of tokens for each of 64 answers: far more than are written while a client goes. */
    private static final String LONG =
            "{'model':'upper','prompt':'hello=','n':64,'max_tokens':110,'ignore_eos':true,"
                    + "'stream':%s}";

    private static Socket open(DemoServer demo, String body) throws IOException {
        return open(demo, "/v1/completions", body);
    }

    private static Socket open(DemoServer demo, String path, String body) throws IOException {
        URI uri = demo.server().uri();
        Socket socket = new Socket(uri.getHost(), uri.getPort());
        socket.setSoTimeout(60_000);
        String json = body.replace('\'', '"');
        String request =
                "POST "
                        + path
                        + " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                        + "Content-Length: "
                        + json.length()
                        + "\r\n\r\n"
                        + json;
        socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
        return socket;
    }

    private static BufferedReader reader(Socket socket) throws IOException {
        return new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
    }

    private static void awaitIdle(DemoServer demo) throws InterruptedException {
        while (true) {
            var now = demo.server().model().engine().statistics();
            if (now.running() + now.waiting() == 0) {
                return;
            }
            Thread.sleep(5);
        }
    }

    @Test
    public void testClientThatGoesEndsItsAnswers() throws Exception {
        try (DemoServer demo = new DemoServer()) {
            for (boolean stream : new boolean[] {true, false}) {
                long before = demo.server().model().engine().statistics().newTokens();
                try (Socket socket = open(demo, String.format(LONG, stream))) {
                    if (stream) {
                        Assert.assertEquals(reader(socket).readLine(), "HTTP/1.1 200 OK");
                    } else {
                        while (demo.server().model().engine().statistics().newTokens() == before) {
                            Thread.sleep(1);
                        }
                    }
                }
                awaitIdle(demo);
                long tokens = demo.server().model().engine().statistics().newTokens() - before;
                Assert.assertTrue(tokens < 64 * 110, "all " + tokens + " tokens were written");
            }
        }
    }

    @Test
    public void testFailureWithinAStream() throws Exception {
        try (DemoServer demo = new DemoServer();
                Socket socket = open(demo, String.format(LONG, true))) {
            BufferedReader reader = reader(socket);
            Assert.assertEquals(reader.readLine(), "HTTP/1.1 200 OK");
            String line = reader.readLine();
            while (!line.startsWith("data: ")) {
                line = reader.readLine();
            }
            demo.server().model().engine().close();
            String last = line;
            while (line != null && !"0".equals(line)) {
                last = line.startsWith("data: ") ? line : last;
                line = reader.readLine();
            }
            var error =
                    JsonParser.parseString(last.substring("data: ".length()))
                            .getAsJsonObject()
                            .getAsJsonObject("error");
            Assert.assertEquals(error.get("code").getAsString(), "cancelled", last);
            // the stream itself is whole: it has its last chunk
            Assert.assertEquals(line, "0");
        }
    }

    @Test
    public void testSlowReaderGetsEverything() throws Exception {
        try (DemoServer demo = new DemoServer();
                Socket socket = open(demo, String.format(LONG, true))) {
            BufferedReader reader = reader(socket);
            Assert.assertEquals(reader.readLine(), "HTTP/1.1 200 OK");
            // the engine is done long before this client is: its events wait for it
            awaitIdle(demo);
            int events = 0;
            String line = reader.readLine();
            while (!"data: [DONE]".equals(line)) {
                events += line.contains("\"finish_reason\":\"length\"") ? 1 : 0;
                line = reader.readLine();
            }
            Assert.assertEquals(events, 64);
        }
    }

    @Test
    public void testSlowReaderOfLinesGetsEverything() throws Exception {
        String body =
                "{'inputs':'hello=','stream':true,"
                        + "'parameters':{'max_new_tokens':100,'ignore_eos':true}}";
        try (DemoServer demo = new DemoServer();
                Socket socket = open(demo, "/invocations", body)) {
            BufferedReader reader = reader(socket);
            Assert.assertEquals(reader.readLine(), "HTTP/1.1 200 OK");
            awaitIdle(demo);
            StringBuilder text = new StringBuilder();
            JsonObject last = null;
            int lines = 0;
            for (String line = reader.readLine(); !"0".equals(line); line = reader.readLine()) {
                if (line.startsWith("{")) {
                    ++lines;
                    last = JsonParser.parseString(line).getAsJsonObject();
                    text.append(last.getAsJsonObject("token").get("text").getAsString());
                }
            }
            Assert.assertTrue(lines > 50, "lines: " + lines);
            Assert.assertEquals(
                    last.getAsJsonObject("details").get("generated_tokens").getAsInt(), 100);
            Assert.assertEquals(last.get("generated_text").getAsString(), text.toString());
        }
    }

    @Test
    public void testManyAtOnceOverAdapters() throws Exception {
        String[] adapters = {"upper", "reverse", "rot13", "sort", "demo"};
        String[] answers = {"HELLO", "olleh", "uryyb", "ehllo", "hello"};
        ExecutorService threads = Executors.newFixedThreadPool(16);
        try (DemoServer demo =
                new DemoServer(
                        DemoServer.model("upper", "reverse", "rot13", "sort"),
                        builder -> builder)) {
            List<CompletableFuture<String>> bodies = new ArrayList<>();
            for (int i = 0; i < 100; ++i) {
                String body =
                        "{'model':'"
                                + adapters[i % 5]
                                + "','prompt':'hello=','temperature':0,'stream':"
                                + (i % 2 == 0)
                                + '}';
                bodies.add(
                        CompletableFuture.supplyAsync(
                                () -> {
                                    try {
                                        return demo.post("/v1/completions", body).body();
                                    } catch (IOException | InterruptedException e) {
                                        throw new IllegalStateException(e);
                                    }
                                },
                                threads));
            }
            for (int i = 0; i < bodies.size(); ++i) {
                String body = bodies.get(i).get(120, TimeUnit.SECONDS);
                StringBuilder text = new StringBuilder();
                for (String part : body.replace("data: ", "").split("\n\n")) {
                    if (!"[DONE]".equals(part)) {
                        text.append(
                                JsonParser.parseString(part)
                                        .getAsJsonObject()
                                        .getAsJsonArray("choices")
                                        .get(0)
                                        .getAsJsonObject()
                                        .get("text")
                                        .getAsString());
                    }
                }
                Assert.assertEquals(text.toString(), answers[i % 5], body);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    public void testLimits() throws Exception {
        InferenceLimits limits = new InferenceLimits(10, 20, 3, adapter -> {});
        try (DemoServer demo = new DemoServer(builder -> builder.optInferenceLimits(limits))) {
            String path = "/v1/completions";
            Assert.assertEquals(demo.post(path, "{'prompt':'hello='}").statusCode(), 200);
            HttpResponse<String> prompt = demo.post(path, "{'prompt':'" + "a".repeat(20) + "'}");
            Assert.assertEquals(prompt.statusCode(), 400);
            Assert.assertTrue(prompt.body().contains("allowed are 10"), prompt.body());
            HttpResponse<String> length = demo.post(path, "{'prompt':'a','max_tokens':21}");
            Assert.assertEquals(length.statusCode(), 400);
            HttpResponse<String> answers = demo.post(path, "{'prompt':['a','b'],'n':2}");
            Assert.assertEquals(answers.statusCode(), 400);
            Assert.assertTrue(answers.body().contains("4 answers"), answers.body());
            HttpResponse<String> chat =
                    demo.post(
                            "/v1/chat/completions",
                            "{'messages':[{'role':'user','content':'hello'}]}");
            Assert.assertEquals(chat.statusCode(), 200, chat.body());
        }
    }

    @Test
    public void testTemplates() throws Exception {
        Path folder = Files.createTempDirectory("chat");
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(DemoServer.FOLDER.resolve("base"))) {
            for (Path file : files) {
                Files.copy(
                        file, folder.resolve(DemoServer.FOLDER.resolve("base").relativize(file)));
            }
        }
        Path template = folder.resolve("chat_template.jinja");
        String say = "{'messages':[{'role':'user','content':'hello'}]%s}";
        Files.delete(template);
        try (DemoServer demo = new DemoServer(load(folder), builder -> builder)) {
            HttpResponse<String> none = demo.post("/v1/chat/completions", String.format(say, ""));
            Assert.assertEquals(none.statusCode(), 400);
            Assert.assertTrue(none.body().contains("no_chat_template"), none.body());
        }
        // the answer of the base is the prompt, and the prompt says which functions there are
        Files.writeString(
                template,
                "{{ bos_token }}{{ tools[0].function.name if tools else messages[0].content }}"
                        + "{{ suffix or '' }}=");
        String tools =
                ",'temperature':0,'tools':[{'type':'function','function':{'name':'find'}}]%s";
        try (DemoServer demo = new DemoServer(load(folder), builder -> builder)) {
            Assert.assertEquals(content(demo, String.format(say, ",'temperature':0")), "hello");
            String given = String.format(tools, ",'tool_choice':'auto'");
            Assert.assertEquals(content(demo, String.format(say, given)), "find");
            String without = String.format(tools, ",'tool_choice':'none'");
            Assert.assertEquals(content(demo, String.format(say, without)), "hello");
            String variable = ",'temperature':0,'chat_template_kwargs':{'suffix':'s'}";
            Assert.assertEquals(content(demo, String.format(say, variable)), "hellos");
        } finally {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
                for (Path file : files) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }

    private static ServedModel load(Path folder) {
        return ServedModel.load(
                "demo", folder, Map.of("dtype", "float32"), SamplingParameters.greedy(32));
    }

    private static String content(DemoServer demo, String body) throws Exception {
        HttpResponse<String> response = demo.post("/v1/chat/completions", body);
        Assert.assertEquals(response.statusCode(), 200, response.body());
        return JsonParser.parseString(response.body())
                .getAsJsonObject()
                .getAsJsonArray("choices")
                .get(0)
                .getAsJsonObject()
                .getAsJsonObject("message")
                .get("content")
                .getAsString();
    }
}
